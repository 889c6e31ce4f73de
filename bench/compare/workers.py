"""How much more eight worker processes do than one, with jobs that wait."""

import time

from bench.compare.client import submit_many
from bench.compare.contestants import Contestant
from bench.compare.drain import POLL
from bench.compare.row import Row, Size

#: `divide` sleeps for a second, so no processor is needed.
BODY = '{"a": 6, "b": 3}'
#: As many as CELERY_CONCURRENCY says.
PROCESSES = 8
#: How often each process runs a job.
TURNS = 6


def workers(contestant: Contestant, size: Size) -> Row:
    """Drain sleeping jobs with eight processes, then with one."""
    eight = _rate(contestant, PROCESSES)
    contestant.up(CELERY_CONCURRENCY="1")
    return {"one": _rate(contestant, 1), "eight": eight}


def _rate(contestant: Contestant, processes: int) -> float:
    count = contestant.count(contestant)
    goal = count() + processes * TURNS
    began = time.monotonic()
    submit_many(contestant.address(), processes * TURNS, "divide", BODY)
    while count() < goal:
        time.sleep(POLL)
    return processes * TURNS / (time.monotonic() - began)
