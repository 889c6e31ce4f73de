"""The single-file demo, as people start it: real processes, a real queue in a file, real signals.

Celery takes 4 s to stop in which it does nothing, so these tests are started together and then awaited in turn.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.project import ROOT
from tests.support.stack import free_port, wait_until

WEB = [sys.executable, "flask/standalone_app.py"]
WORKER = ["./start_local_celery.sh", "--concurrency", "1"]


class Demo:
    """One set of data and one port, and the processes that use them."""

    def __init__(self, data: Path) -> None:
        port = free_port()
        self.data = data
        self.web = [*WEB, "--port", str(port)]
        self.http = httpx.Client(base_url=f"http://localhost:{port}", timeout=10)

    @contextmanager
    def running(self, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command for the length of a block; a test that fails leaves nothing behind either."""
        environ = {name: value for name, value in os.environ.items() if name != "BROKER_URL"}
        environ |= {"STANDALONE_DIR": str(self.data), "CELERY_CONCURRENCY": "2"}
        with subprocess.Popen(command, cwd=ROOT, env=environ, start_new_session=True) as process:
            try:
                yield process
            finally:
                for left in self.processes():
                    os.kill(left, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Return every process that was started with this data, children of children included."""
        mark = f"STANDALONE_DIR={self.data}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
            except OSError:  # it ended while we looked
                continue
        return found

    def submit(self) -> str:
        """Submit a job, as soon as there is a server to take it."""
        answer = wait_until(lambda: self.http.get("/flask/heavy"), 60, "the web server answers")
        assert answer.status_code == 202
        task_id = str(answer.json()["task_id"])
        assert answer.headers["Location"] == f"/flask/status?task_id={task_id}"
        return task_id

    def wait(self, task_id: str, *states: str) -> dict[str, str]:
        """Wait until the job is in one of the states."""
        return wait_until(
            lambda: dict(self.http.get("/flask/status", params={"task_id": task_id}).json()),
            60,
            f"job {task_id} is {' or '.join(states)}",
            lambda status: status["status"] in states,
        )


def one_terminal_ends_what_it_began_and_leaves_no_process(demo: Demo) -> None:
    with demo.running([*demo.web, "--with-worker"]) as both:
        task_id = demo.submit()
        demo.wait(task_id, "STARTED")
        both.send_signal(signal.SIGTERM)
        assert both.wait(60) == 0
        assert demo.processes() == []

    with demo.running(demo.web) as web:
        ended = demo.wait(task_id, "SUCCESS")
        assert ended["result"].startswith("This task took ")
        assert demo.http.get(f"/flask/result/{task_id}").json() == {"status": "SUCCESS", "result": ended["result"]}
        web.send_signal(signal.SIGINT)
        assert web.wait(60) == 0
        assert demo.processes() == []


def two_terminals_and_a_worker_killed_meanwhile(demo: Demo) -> None:
    with demo.running(demo.web), demo.running(WORKER) as worker:
        task_id = demo.submit()
        demo.wait(task_id, "STARTED")
        os.killpg(worker.pid, signal.SIGKILL)
        with demo.running(WORKER):
            demo.wait(task_id, "SUCCESS")


def mistakes_are_answered_plainly(demo: Demo) -> None:
    with demo.running(demo.web):
        missing = wait_until(lambda: demo.http.get("/flask/status"), 60, "the web server answers")
        unknown = demo.http.get("/flask/status?task_id=no-such-job")
    assert (missing.status_code, unknown.status_code) == (400, 404)
    assert missing.headers["Content-Type"] == unknown.headers["Content-Type"] == "application/problem+json"
    assert "task_id" in missing.json()["detail"]


def port_in_use_is_said(demo: Demo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*WEB, "--port", str(taken.getsockname()[1])]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot listen on 127.0.0.1:")
    assert "--port" in result.stderr


CASES = [
    one_terminal_ends_what_it_began_and_leaves_no_process,
    two_terminals_and_a_worker_killed_meanwhile,
    mistakes_are_answered_plainly,
    port_in_use_is_said,
]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    # The demo's Python environment first, so that its making counts as no test's time.
    subprocess.run(["ops/python_env.sh", "standalone", "flask/requirements.txt"], cwd=ROOT, check=True)
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=len(CASES)) as pool:
        demos = [Demo(tmp_path_factory.mktemp("demo") / "data") for _ in CASES]
        for demo in demos:
            stack.enter_context(demo.http)
        yield {case.__name__: pool.submit(case, demo) for case, demo in zip(CASES, demos, strict=True)}


@pytest.mark.parametrize("case", [case.__name__ for case in CASES])
def test_standalone(case: str, started: dict[str, Future[None]]) -> None:
    started[case].result()
