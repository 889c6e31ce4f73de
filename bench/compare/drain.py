"""How fast waiting jobs are finished."""

import time

from bench.compare.cgroups import processor_seconds, used
from bench.compare.client import submit_many
from bench.compare.contestants import Contestant, Count
from bench.compare.row import PATIENCE, Row, Size, microseconds

#: Seconds between two looks at the contestant's store: often enough, and it costs next to nothing.
POLL = 0.05


def drain(contestant: Contestant, size: Size) -> Row:
    """Give a stopped worker a backlog and start it: how fast are jobs finished, from the first one on?

    What counts is what the contestant's own store says. Slow ones are watched for `size.drain` seconds.
    """
    count = contestant.count(contestant)
    contestant.stop("worker")
    submit_many(contestant.address(), size.backlog)
    at_rest = count()
    contestant.start("worker")
    first = wait_until_more(count, at_rest)
    began, before = time.monotonic(), processor_seconds(contestant)
    last, seconds = first, 0.0
    while last < at_rest + size.backlog and seconds < size.drain:
        time.sleep(POLL)
        last, seconds = count(), time.monotonic() - began
    jobs = last - first
    row = microseconds(used(before, processor_seconds(contestant)), jobs)
    return {"jobs": jobs, "seconds": seconds, "per_second": jobs / seconds} | row


def wait_until_more(count: Count, before: int) -> int:
    """Wait until the first jobs are finished; return the count."""
    until = time.monotonic() + PATIENCE
    while (now := count()) == before:
        if time.monotonic() > until:
            raise SystemExit(f"error: no job was finished in {PATIENCE} s")
        time.sleep(POLL)
    return now
