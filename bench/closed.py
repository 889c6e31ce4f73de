"""Measures what login and TLS cost: two stacks accept jobs in turn, an open one and one with both. No worker runs."""

import argparse
import statistics
import sys
from dataclasses import replace

from bench.compare import load
from bench.compare.contestants import ALL, docker

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
    ratios = []
    print(f"{'round':>5} {'open, jobs/s':>13} {'closed, jobs/s':>15} {'closed / open':>14}")
    for number in range(rounds):
        accepted = per_second(load.submit(OPEN.address(), seconds))
        let_in = load.submit(CLOSED.address(), seconds, f"Authorization: Bearer {token}", scheme="https")
        ratios.append(per_second(let_in) / accepted)
        print(f"{number + 1:>5} {accepted:>13.0f} {per_second(let_in):>15.0f} {ratios[-1]:>14.2f}", flush=True)
    print(f"\nmedian closed / open: {statistics.median(ratios):.2f}")


def per_second(done: load.Load) -> float:
    """Return how many jobs were accepted in a second. Raises :class:`SystemExit` if any was not."""
    if done.refused or done.broken:
        raise SystemExit(f"error: {done.refused} jobs were refused, and {done.broken} requests had no answer")
    return done.good / done.seconds


if __name__ == "__main__":
    sys.exit(main())
