"""How much more eight worker processes do than one, with jobs that wait."""

import time

from bench.compare.client import submit_many
from bench.compare.contestants import Contestant
from bench.compare.drain import wait_until_more
from bench.compare.row import Row, Size

#: `divide` sleeps for a second, so no processor is needed.
BODY = '{"a": 6, "b": 3}'
PROCESSES = 8
#: How often each process runs a job.
TURNS = 6


def workers(contestant: Contestant, size: Size) -> Row:
    """Drain sleeping jobs with one process, then with eight."""
    rates = {}
    for processes in (1, PROCESSES):
        contestant.up(CELERY_CONCURRENCY=str(processes))
        rates[processes] = _rate(contestant, processes)
    return {"one": rates[1], "eight": rates[PROCESSES]}


def _rate(contestant: Contestant, processes: int) -> float:
    count = contestant.count(contestant)
    at_rest = count()
    submit_many(contestant.address(), processes * TURNS, "divide", BODY)
    began, first = time.monotonic(), at_rest
    last = wait_until_more(count, at_rest)
    began, first = time.monotonic(), last
    while last < at_rest + processes * TURNS:
        time.sleep(0.02)
        last = count()
    return (last - first) / (time.monotonic() - began)
