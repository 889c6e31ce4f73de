"""What pages and API tell alike of kinds of jobs: how many ended and how, and how long they waited and ran."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from jobs.catalogue import JOB_TYPES, JobType
from jobs.histogram import Histogram, quantile
from jobs.ledger import summaries
from jobs.ledger.database import ledger
from jobs.ledger.summaries import History, Summary
from jobs.windows import WINDOWS, Window
from webapp.problems import Problem
from webapp.views import timestamp

#: The quantiles that are shown.
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, kw_only=True)
class KindHistory:
    """A kind of job, and what became of its jobs in a window."""

    kind: JobType
    history: History

    @property
    def per_second(self) -> float:
        """Jobs that ended per second: the mean of the window."""
        return self.history.total.ended / max(self.history.lasted, 1)

    @property
    def failure_rate(self) -> float | None:
        """The share that failed, from 0 to 1, of those that were not cancelled; ``None`` if there are none."""
        total = self.history.total
        tried = total.succeeded + total.failed
        return total.failed / tried if tried else None

    @property
    def waiting(self) -> dict[str, float | None]:
        """Quantiles of the seconds before the first run."""
        return _quantiles(self.history.total.waits)

    @property
    def running(self) -> dict[str, float | None]:
        """Quantiles of the seconds of the last run."""
        return _quantiles(self.history.total.runs)

    @property
    def slots(self) -> list[tuple[float, Summary]]:
        """Each minute or hour: when it began, in seconds since the epoch, and what became of its jobs."""
        history = self.history
        return [
            (history.began_at + place * history.window.span, history.slots.get(place, Summary()))
            for place in range(history.window.slots)
        ]


def _quantiles(counts: Histogram) -> dict[str, float | None]:
    found = {name: quantile(counts, share) for name, share in SHARES.items()}
    # More digits would say nothing.
    return {name: None if seconds is None else float(f"{seconds:.3g}") for name, seconds in found.items()}


def find_kind(name: str) -> JobType:
    """Return a kind of job. Raises a 404 problem."""
    if name not in JOB_TYPES:
        raise Problem(404, f"There is no kind of job called {name[:50]!r}.")
    return JOB_TYPES[name]


def kinds_in(connection: Connection, window: Window, queue: str | None = None) -> list[KindHistory]:
    """Return what became of the jobs of every kind in a window, or of the kinds of one queue."""
    found = summaries.histories(connection, window)
    empty = summaries.empty(window, time.time())
    return [
        KindHistory(kind=kind, history=found.get(kind.name, empty))
        for kind in JOB_TYPES.values()
        if queue is None or kind.queue == queue
    ]


def windows_of(kind: JobType) -> list[KindHistory]:
    """Return what became of the jobs of a kind in each window."""
    with ledger().reading() as connection:
        return [_history_of(connection, kind, window) for window in WINDOWS.values()]


def _history_of(connection: Connection, kind: JobType, window: Window) -> KindHistory:
    found = summaries.histories(connection, window, kind.name)
    return KindHistory(kind=kind, history=found.get(kind.name) or summaries.empty(window, time.time()))


def kind_view(kind: JobType) -> dict[str, Any]:
    """Return a kind of job."""
    return {"name": kind.name, "queue": kind.queue, "description": kind.summary}


def figures_view(found: KindHistory) -> dict[str, Any]:
    """Return what became of the jobs of a kind in a window."""
    total = found.history.total
    return {
        "began_at": timestamp(found.history.began_at),
        "succeeded": total.succeeded,
        "failed": total.failed,
        "cancelled": total.cancelled,
        "per_second": found.per_second,
        "failure_rate": found.failure_rate,
        "waiting": found.waiting,
        "running": found.running,
    }


def slots_view(slots: Iterable[tuple[float, Summary]]) -> list[dict[str, Any]]:
    """Return the minutes or hours of a window."""
    return [
        {
            "began_at": timestamp(began_at),
            "succeeded": slot.succeeded,
            "failed": slot.failed,
            "cancelled": slot.cancelled,
        }
        for began_at, slot in slots
    ]
