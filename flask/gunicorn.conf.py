"""Gunicorn's settings: a few processes, each with many threads that mostly wait for the disk."""

import contextlib
import json
import os
import random
import socket
from typing import Any

from gunicorn import util
from gunicorn.glogging import Logger

from jobs import logs

logs.install()

#: The processors that this container may use, in another order in each container.
PROCESSORS = random.sample(sorted(os.sched_getaffinity(0)), len(os.sched_getaffinity(0)))

bind = "0.0.0.0:8000"
worker_class = "gthread"
# The application is imported once, and before the port is open: whoever comes earlier is refused, and answered 503 by
# Nginx at once. Otherwise requests would wait in the port's queue for processes that have yet to import it.
preload_app = True
workers = int(os.environ.get("WEB_PROCESSES", "2"))
threads = int(os.environ.get("WEB_THREADS", "32"))
# Longer than Nginx keeps an idle connection to us, so that it is always Nginx who closes one.
keepalive = 75
# Heartbeats of the processes, in memory: the root is read-only, and a slow disk must not look like a hung process.
worker_tmp_dir = "/dev/shm"
# The time for requests under way when the container is stopped.
graceful_timeout = 20
control_socket_disable = True  # one would be opened by default
# Nginx refuses an address of more than 8 kB, in a problem document; Gunicorn's own limit would answer with HTML.
limit_request_line = 0
accesslog = None  # Nginx keeps it

# Each process counts its requests in files here, in memory, and any of them tells the figures of all. The files of a
# process that has ended stay, for what it has counted is still true. ops/autoscale.sh adds a file, too.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = "/tmp/metrics"
os.makedirs(os.environ["PROMETHEUS_MULTIPROC_DIR"], exist_ok=True)


class logger_class(Logger):  # the name of the setting
    """Has Gunicorn's own lines written like all others."""

    def setup(self, cfg: Any) -> None:
        """Give them to the logger of all, and to no handler of their own."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def _write_error(client: socket.socket, status: int, reason: str, message: str) -> None:
    """Say what Gunicorn itself refuses, such as a hundred headers, in a problem document like all other errors."""
    problem = json.dumps({"type": "about:blank", "title": reason, "status": status, "detail": message})
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
    util.write_nonblock(client, f"{head}Content-Length: {len(problem)}\r\n\r\n{problem}".encode("ascii"))


util.write_error = _write_error  # it would be HTML, and there is no setting for it


def pre_fork(server: Any, worker: Any) -> None:
    """Choose a processor for a new process: one that no other process has, if there is one."""
    taken = {other.processor for other in server.WORKERS.values()}
    worker.processor = next((number for number in PROCESSORS if number not in taken), random.choice(PROCESSORS))


def post_fork(_server: Any, worker: Any) -> None:
    """Stay on that processor. The threads of a process run one at a time anyway, and wake each other faster there."""
    os.sched_setaffinity(0, {worker.processor})


def _hold_back(request: Any, held: bool) -> None:
    request.unreader.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, held)


def pre_request(_worker: Any, request: Any) -> None:
    """Hold the answer back until all of it is there: Gunicorn writes its head and its body one after the other."""
    _hold_back(request, True)


def post_request(_worker: Any, request: Any, _environ: Any, _response: Any) -> None:
    """Send the answer, in one packet if it is small: a network that breaks cannot cut it in two."""
    with contextlib.suppress(OSError):  # the client has left, or an event stream has taken the connection
        _hold_back(request, False)
