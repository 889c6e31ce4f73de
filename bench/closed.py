"""Measures what login and TLS cost: two stacks accept jobs in turn, an open one and one with both. No worker runs."""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bench.compare import load
from bench.compare.cgroups import processor_seconds, used
from bench.compare.contestants import ALL, Contestant, docker

OPEN = replace(ALL[0], name="open", settings={"PORT": "8011", "BACKLOG_LIMIT": "1000000"})
CLOSED = replace(OPEN, name="closed", settings=OPEN.settings | {"PORT": "8012", "AUTH": "on", "TLS": "on"})


def main() -> int:
    """Measure and print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench/closed", add_help=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    load.prepare()
    try:
        for stack in (OPEN, CLOSED):
            stack.up()
            stack.stop("worker")
        measure(arguments.rounds, arguments.seconds)
    finally:
        for stack in (OPEN, CLOSED):
            stack.down()
    return 0


def measure(rounds: int, seconds: float) -> None:
    """Let both accept jobs in turn, and print how many a second it were."""
    token = docker("exec", CLOSED.container("flask"), "python", "-m", "webapp.commands.tokens", "add", "bench").strip()
    ratios, costs = [], []
    print(f"{'':>5} {'jobs/s':^23} {'processor time for a job, us':^31}")
    print(f"{'round':>5} {'open':>7} {'closed':>7} {'ratio':>7} {'open':>11} {'closed':>9} {'ratio':>9}")
    knock = partial(load.submit, OPEN.address(), seconds)
    let_in = partial(load.submit, CLOSED.address(), seconds, f"Authorization: Bearer {token}", scheme="https")
    for number in range(rounds):
        rate, cost = accept(OPEN, knock)
        closed_rate, closed_cost = accept(CLOSED, let_in)
        ratios.append(closed_rate / rate)
        costs.append(closed_cost / cost)
        print(
            f"{number + 1:>5} {rate:>7.0f} {closed_rate:>7.0f} {ratios[-1]:>7.2f}"
            f" {cost:>11.0f} {closed_cost:>9.0f} {costs[-1]:>9.2f}",
            flush=True,
        )
    print(f"\nmedian closed / open: {statistics.median(ratios):.2f}; of processor time: {statistics.median(costs):.2f}")


def accept(stack: Contestant, submit: Callable[[], load.Load]) -> tuple[float, float]:
    """Return how many jobs a stack accepts in a second, and what each costs all its containers, in microseconds.

    Raises :class:`SystemExit` if a job was not accepted.
    """
    before = processor_seconds(stack)
    done = submit()
    spent = sum(used(before, processor_seconds(stack)).values())
    if done.refused or done.broken:
        raise SystemExit(f"error: {done.refused} jobs were refused, and {done.broken} requests had no answer")
    return done.good / done.seconds, spent / done.good * 1e6


if __name__ == "__main__":
    sys.exit(main())
