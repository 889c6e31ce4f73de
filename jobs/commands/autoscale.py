"""How many workers there should be: ``python -m jobs.commands.autoscale``, which ``ops/autoscale.sh`` asks.

Each line of the input is a question: the names of the workers that may be retired, with blanks between them; a tab; and
what hinders the script, if something does. Each is answered by one line, of which the parts are separated by tabs:
``add``, ``retire`` or ``hold``; how many to add, or the names of those to retire; why.

Then the ledger is told, for the page of the autoscaler. Prometheus is told by the web container, where this runs:
``ops/autoscale.sh`` has it counted there.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from jobs.catalogue import QUEUES
from jobs.commands.autoscale_policy import Decision, Limits, Situation, decide, present
from jobs.ledger import autoscaler, queries, samples, workers
from jobs.ledger.autoscaler import Autoscaler
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


class Adviser:
    """Answers questions, and tells Prometheus and the ledger what it has answered."""

    def __init__(self, limits: Limits, started_at: float) -> None:
        self._limits = limits
        self._started_at = started_at
        # What was told last: the change that was to be made (how many workers, whom to retire), and what hindered it.
        self._change: tuple[int, tuple[str, ...]] | None = None
        self._trouble = ""
        _LEAST.set(limits.least)
        _MOST.set(limits.most)

    def advise(self, question: str) -> None:
        """Print the answer to a question."""
        names, _, trouble = question.rstrip("\n").partition("\t")
        try:
            seen = look(self._limits, names.split())
        except SQLAlchemyError as error:
            print(f"hold\t-\tthe ledger cannot be read: {str(error).splitlines()[0]}", flush=True)
            return
        decision = decide(self._limits, seen)
        print(_answer(decision), flush=True)  # first of all: the script waits for it
        count = present(self._limits, seen)
        wanted = count + decision.add - len(decision.retire)
        _LAST_LOOK.set(seen.at)
        _WANTED.set(wanted)
        self._tell(seen.at, count, wanted, [*self._news(decision, wanted, trouble)])

    def end(self) -> None:
        """Tell the ledger that this is the end."""
        with suppress(SQLAlchemyError), ledger().writing() as connection:
            autoscaler.ended(connection, self._started_at)

    def _news(self, decision: Decision, wanted: int, trouble: str) -> Iterator[str]:
        """Yield what is new: what hinders, once for as long as it lasts, and a change, once until it is made."""
        change = (wanted, decision.retire) if decision.add or decision.retire else None
        reasons = [trouble, decision.why if change is None else ""]
        for reason in filter(None, reasons):
            if reason != self._trouble:
                self._trouble = reason
                yield reason
        if not any(reasons):
            self._trouble = ""
        if change is not None and change != self._change:
            yield decision.why
        self._change = change

    def _tell(self, at: float, count: int, wanted: int, said: list[str]) -> None:
        limits = self._limits
        now = Autoscaler(
            queues=",".join(limits.queues),
            min_workers=limits.least,
            max_workers=limits.most,
            wait=limits.wait,
            cooldown=limits.cooldown,
            workers=count,
            wanted=wanted,
            started_at=self._started_at,
            seen_at=at,
        )
        # Workers can be added and retired also while nothing can be written.
        with suppress(SQLAlchemyError), ledger().writing(durable=False) as connection:
            autoscaler.looked(connection, now, *said)


def _answer(decision: Decision) -> str:
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
    parser.add_argument("--started", type=float, default=time.time(), metavar="SECONDS", help="when the script was")
    chosen = parser.parse_args()
    limits = Limits(
        queues=tuple(chosen.queues.split(",")),
        least=chosen.min,
        most=chosen.max,
        wait=chosen.wait,
        cooldown=chosen.cooldown,
    )
    adviser = Adviser(limits, chosen.started)
    for line in sys.stdin:
        adviser.advise(line)
    adviser.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
