"""Tasks that misbehave, for a worker of the tests: mounted into a container beside the real `tasks`."""

import os
import time
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init
from tasks import app

from jobs.task import JobTask

#: While this file is there, every new pool process dies at its start.
DIE_YOUNG = Path("/tmp/die_young")

#: The seconds in this file are how much the clock of this worker is fast.
CLOCK = Path("/tmp/clock")

_right_time = time.time


def _shown_time() -> float:
    try:
        return _right_time() + float(CLOCK.read_text())
    except (OSError, ValueError):  # not there, or just being written
        return _right_time()


time.time = _shown_time


@worker_process_init.connect
def _die_young(**_: Any) -> None:
    if DIE_YOUNG.exists():
        os._exit(1)


@app.task(name="flaky", bind=True, autoretry_for=(ConnectionError,), max_retries=3, retry_kwargs={"countdown": 1})
def flaky(task: JobTask, succeed_at: int) -> int:
    """Fail until the attempt with that number."""
    if task.request.attempt < succeed_at:
        raise ConnectionError("nobody there")
    return int(task.request.attempt)


@app.task(name="poison")
def poison() -> None:
    """Kill the process that runs this."""
    os.kill(os.getpid(), 9)


@app.task(name="endless", time_limit=2)
def endless() -> None:
    """Never end."""
    time.sleep(3600)


@app.task(name="hungry")
def hungry() -> int:
    """Take more memory than the container may have."""
    return len(bytearray(2**33).rjust(2**33))


@app.task(name="wrong_result")
def wrong_result() -> object:
    """Return what is not JSON."""
    return object()


@app.task(name="broken")
def broken() -> None:
    """Have a bug."""
    raise KeyError("a name\nthat is missing")
