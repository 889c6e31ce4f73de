"""Where the processor time of a job goes inside the web and the worker container.

py-spy looks many times a second at the thread that has Python's lock. Threads without it mostly wait, for others or for
the disk. So the work that C code does without the lock is not seen: that of SQLite, and of reading from sockets.
"""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from bench.compare import load
from bench.compare.cgroups import pids
from bench.compare.client import submit_many
from bench.compare.contestants import Contestant
from bench.compare.drain import wait_until_more
from bench.compare.row import Row, Size

#: A sample belongs to the first part that matches, from the innermost call outwards. What is called by several parts,
#: such as `json` or `threading`, belongs to whoever called it.
PARTS = {
    "messages": ("/kombu/", "/amqp/", "/vine/", "/jobs/broker/"),
    "ledger or results": (
        "/sqlalchemy/",
        "/pysqlite3/",
        "/jobs/ledger/",
        "/celery/backends/",
        "/jobs/worker/ledger_writer",
    ),
    "logging": ("/logging/",),
    "validation": ("/pydantic/", "/webapp/intake", "/webapp/models", "/webapp/api/json_body"),
    "Flask": ("/flask/", "/apiflask/", "/werkzeug/"),
    "Gunicorn": ("/gunicorn/",),
    "pool": ("/billiard/", "/celery/concurrency/"),
    "Celery": ("/celery/",),
    "own code": ("/app/",),
}
OTHER = "handing over between threads"


def budget(contestant: Contestant, size: Size) -> Row:
    """Return the share of each part: in the web while jobs are accepted, in the worker while they are drained."""
    contestant.stop("worker")
    submitting = threading.Thread(target=load.submit, args=(contestant.address(), size.burst))
    submitting.start()
    accepted = _shares(pids(contestant)["flask"], size.burst - 2)
    submitting.join()
    submit_many(contestant.address(), size.backlog)
    count = contestant.count(contestant)
    at_rest = count()
    contestant.start("worker")
    wait_until_more(count, at_rest)
    return {"flask": accepted, "worker": _shares(pids(contestant)["worker"], 4)}


def _shares(pid: int, seconds: float) -> dict[str, float]:
    """Return what the processes below `pid` do: part -> share of the samples in which there was something to do."""
    command = [
        *(str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--subprocesses", "--gil"),
        *("--rate", "100", "--duration", f"{seconds:.0f}"),
        *("--format", "raw", "--full-filenames", "--output", "/dev/stdout"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True)
    samples: Counter[str] = Counter()
    for line in ended.stdout.splitlines():
        stack, _, times = line.rpartition(" ")
        if times.isdigit() and "(" in stack:
            samples[part_of(stack)] += int(times)
    if not samples:
        raise SystemExit(f"error: py-spy saw nothing\n\n{ended.stderr}")
    return {part: times / samples.total() for part, times in samples.most_common()}


def part_of(stack: str) -> str:
    """Return the part that a stack belongs to; its frames are separated by `;`, the innermost last."""
    for frame in reversed(stack.split(";")):
        for part, places in PARTS.items():
            if any(place in frame for place in places):
                return part
    return OTHER
