"""How many workers there should be: ``python -m jobs.commands.autoscale``, which ``ops/autoscale.sh`` asks.

Each line of the input is a question: the names of the workers that may be retired, with blanks between them. Each is
answered by one line, of which the parts are separated by tabs: ``add``, ``retire`` or ``hold``; how many to add, or the
names of those to retire; why.

Prometheus is told by the web container, where this runs: ``ops/autoscale.sh`` has it counted there.
"""

import argparse
import sys
import time
from dataclasses import replace

from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from jobs.catalogue import QUEUES
from jobs.commands.autoscale_policy import Limits, Situation, decide, present
from jobs.ledger import queries, samples, workers
from jobs.ledger.database import ledger
from jobs.settings import settings

_WANTED = Gauge(
    "warren_autoscaler_wanted_workers",
    "How many workers of its queues the autoscaler wants.",
    multiprocess_mode="mostrecent",
)
_LEAST = Gauge("warren_autoscaler_min_workers", "Its --min.", multiprocess_mode="mostrecent")
_MOST = Gauge("warren_autoscaler_max_workers", "Its --max.", multiprocess_mode="mostrecent")
_LAST_LOOK = Gauge(
    "warren_autoscaler_last_look_timestamp_seconds",
    "When the autoscaler last looked.",
    multiprocess_mode="mostrecent",
)


def look(limits: Limits, removable: list[str]) -> Situation:
    """Return what the ledger knows now. Raises :class:`sqlalchemy.exc.SQLAlchemyError`."""
    now = time.time()
    with ledger().reading() as connection:
        return Situation(
            at=now,
            # Jobs of a paused queue call for no workers.
            samples=[
                replace(sample, unfinished=sample.scheduled) if sample.paused else sample
                for sample in samples.since(connection, now - limits.memory)
            ],
            workers=workers.living(connection, settings().worker_lease),
            running=queries.running_by_worker(connection),
            removable=removable,
        )


def answer(limits: Limits, removable: list[str]) -> str:
    """Return the answer to one question."""
    try:
        seen = look(limits, removable)
    except SQLAlchemyError as error:
        return f"hold\t-\tthe ledger cannot be read: {str(error).splitlines()[0]}"
    decision = decide(limits, seen)
    _LAST_LOOK.set(seen.at)
    _WANTED.set(present(limits, seen) + decision.add - len(decision.retire))
    if decision.add:
        return f"add\t{decision.add}\t{decision.why}"
    if decision.retire:
        return f"retire\t{' '.join(decision.retire)}\t{decision.why}"
    return f"hold\t-\t{decision.why}"


def main() -> int:
    """Answer until the input ends; return the exit code."""
    parser = argparse.ArgumentParser(prog="autoscale.sh", description="Says how many workers there should be.")
    parser.add_argument("--min", type=int, default=1, metavar="N")
    parser.add_argument("--max", type=int, default=8, metavar="N")
    parser.add_argument("--queues", default=",".join(QUEUES), metavar="QUEUE,...")
    parser.add_argument("--wait", type=float, default=15, metavar="SECONDS")
    parser.add_argument("--cooldown", type=float, default=120, metavar="SECONDS")
    chosen = parser.parse_args()
    limits = Limits(
        queues=tuple(chosen.queues.split(",")),
        least=chosen.min,
        most=chosen.max,
        wait=chosen.wait,
        cooldown=chosen.cooldown,
    )
    _LEAST.set(limits.least)
    _MOST.set(limits.most)
    for line in sys.stdin:
        print(answer(limits, line.split()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
