"""Gunicorn's settings: a few processes, each with many threads that mostly wait for the disk."""

import os

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
errorlog = "-"
accesslog = None  # Nginx keeps it
