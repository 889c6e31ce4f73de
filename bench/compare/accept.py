"""How fast jobs are accepted."""

import time

from bench.compare import client, load
from bench.compare.cgroups import processor_seconds, used
from bench.compare.contestants import Contestant
from bench.compare.drain import wait_until_more
from bench.compare.row import Row, Size, microseconds


def noop(contestant: Contestant, size: Size) -> Row:
    """A route that does nothing."""
    _fresh_nginx(contestant)
    return _rate(load.get(contestant.address(), "/flask/healthz", size.burst))


def burst(contestant: Contestant, size: Size) -> Row:
    """Submit while no worker runs."""
    contestant.stop("worker")
    return _accept(contestant, size.burst)


def sustained(contestant: Contestant, size: Size) -> Row:
    """Submit while the worker runs, and see how many jobs it finishes meanwhile."""
    contestant.start("worker")
    count = contestant.count(contestant)
    before = count()
    client.Client(contestant.address()).submit()
    wait_until_more(count, before)  # its start is over
    before, began = count(), time.monotonic()
    row = _accept(contestant, size.sustained)
    finished, seconds = count() - before, time.monotonic() - began
    if not contestant.keeps_results:  # what was counted is how many fewer messages are left
        finished += row["accepted"]
    return row | {"finished_per_second": finished / seconds}


def _accept(contestant: Contestant, seconds: float) -> Row:
    _fresh_nginx(contestant)
    before = processor_seconds(contestant)
    done = load.submit(contestant.address(), seconds)
    return _rate(done) | microseconds(used(before, processor_seconds(contestant)), done.good)


def _fresh_nginx(contestant: Contestant) -> None:
    """Start Nginx anew: where it keeps no connections, those of earlier measurements would still hold its ports."""
    contestant.stop("nginx")
    contestant.start("nginx")
    client.wait_for_answer(contestant.address())


def _rate(done: load.Load) -> Row:
    return {
        "accepted": done.good,
        "per_second": done.good / done.seconds,
        "p50": done.p50,
        "p99": done.p99,
        "refused": done.refused,
        "broken": done.broken,
    }
