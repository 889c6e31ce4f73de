"""Measures SQLite and PostgreSQL as the ledger: two stacks accept jobs in turn, and then run them."""

import argparse
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from dataclasses import replace
from functools import partial

from bench.closed import OPEN, accept
from bench.compare import load
from bench.compare.contestants import Contestant, docker

SQLITE = replace(OPEN, name="sqlite")
POSTGRESQL = replace(OPEN, name="postgresql", settings=OPEN.settings | {"PORT": "8013", "LEDGER": "postgresql"})
#: How many of the jobs that came since then are done, and from the first start to the last end.
_DONE = "SELECT count(*), max(ended_at) - min(started_at) FROM job WHERE state = 'SUCCESS' AND created_at >= {since}"
#: Seconds that a backlog may take.
PATIENCE = 300


def main() -> int:
    """Measure and print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench/ledgers", add_help=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    load.prepare()
    try:
        for stack in (SQLITE, POSTGRESQL):
            stack.up()
            stack.stop("worker")
        measure(arguments.rounds, arguments.seconds)
    finally:
        for stack in (SQLITE, POSTGRESQL):
            stack.down()
    return 0


def measure(rounds: int, seconds: float) -> None:
    """Let both accept jobs and run them, in turn, and print how many a second it were."""
    ratios: list[tuple[float, float]] = []
    print(f"{'':>5} {'accepted, jobs/s':^30} {'run, jobs/s':^30}")
    print(f"{'round':>5}" + f" {'SQLite':>9} {'PostgreSQL':>11} {'ratio':>8}" * 2)
    for number in range(rounds):
        (accepted, done), (accepted_there, done_there) = (one_round(each, seconds) for each in (SQLITE, POSTGRESQL))
        ratios.append((accepted_there / accepted, done_there / done))
        print(
            f"{number + 1:>5} {accepted:>9.0f} {accepted_there:>11.0f} {ratios[-1][0]:>8.2f}"
            f" {done:>9.0f} {done_there:>11.0f} {ratios[-1][1]:>8.2f}",
            flush=True,
        )
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    print(f"\nmedian PostgreSQL / SQLite: accepted {medians[0]:.2f}, run {medians[1]:.2f}")


def one_round(stack: Contestant, seconds: float) -> tuple[float, float]:
    """Return how many jobs a second a stack accepts while no worker runs, and how many it then runs."""
    since = time.time()
    rate, _ = accept(stack, partial(load.submit, stack.address(), seconds))
    stack.start("worker")
    until = time.monotonic() + PATIENCE
    # The last requests of the load may have been accepted, though nobody waited for the answer.
    count, took, before = 0, 0.0, -1
    while count != before or count < rate * seconds * 0.9:
        if time.monotonic() > until:
            raise SystemExit(f"error: only {count} jobs were run in {PATIENCE} s")
        before = count
        time.sleep(2)
        count, took = done_since(stack, since)
    stack.stop("worker")
    return rate, count / took


def done_since(stack: Contestant, since: float) -> tuple[int, float]:
    """Return how many of the jobs that were accepted since then are done, and in how many seconds."""
    sql = _DONE.format(since=since)
    if stack is SQLITE:
        with closing(sqlite3.connect(f"file:{stack.data / 'backend.db'}?mode=ro", uri=True, timeout=10)) as database:
            count, took = database.execute(sql).fetchone()
    else:
        psql = ("psql", "--dbname", "warren", "--tuples-only", "--no-align", "--field-separator= ", "--command", sql)
        count, took, *_ = [*docker("exec", stack.container("postgres"), *psql).split(), 0]
    return int(count), float(took or 0)


if __name__ == "__main__":
    sys.exit(main())
