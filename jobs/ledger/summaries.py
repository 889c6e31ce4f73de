"""What became of the jobs of each kind, by minute and by hour: the table ``summary``.

The beat container adds up what has ended since it looked last. So it costs those who run jobs nothing, and a page that
shows a week reads some hundred rows, however many jobs there are. Up to which moment all is added up stands in the
table ``mark``, and changes in the same transaction: each job is counted once, whatever dies meanwhile.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, case, delete, insert, select, tuple_

from jobs.histogram import Histogram, bucket
from jobs.ledger.database import Ledger, take_turn
from jobs.ledger.schema import attempt, job, mark, summary
from jobs.states import State
from jobs.windows import HOUR, MINUTE, Window

#: How many slots are kept, by their seconds.
KEPT = {MINUTE: 120, HOUR: 8 * 24}

#: Jobs that are read at once.
CHUNK = 5000

_MARK = "summary"

# A job that has run more than once has waited for the first run; the others wait for their back-off.
_FIRST_RUN = select(attempt.c.started_at).where(attempt.c.job_id == job.c.id, attempt.c.number == 1).scalar_subquery()
_ENDED = select(
    job.c.type,
    job.c.state,
    job.c.ended_at,
    job.c.started_at,
    case((job.c.attempts > 1, _FIRST_RUN), else_=job.c.started_at).label("first_run_at"),
    case((job.c.run_at > job.c.created_at, job.c.run_at), else_=job.c.created_at).label("ready_at"),
)


@dataclass(kw_only=True)
class Summary:
    """What became of some jobs of one kind."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    #: From the moment at which each could have started to its first run.
    waits: Histogram = field(default_factory=Counter)
    #: The last run of each that came to an end of its own: those that were cancelled are left out.
    runs: Histogram = field(default_factory=Counter)

    @property
    def ended(self) -> int:
        """All of them."""
        return self.succeeded + self.failed + self.cancelled

    def merge(self, other: "Summary") -> None:
        """Add the jobs of another one."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.cancelled += other.cancelled
        self.waits.update(other.waits)
        self.runs.update(other.runs)

    @classmethod
    def of(cls, row: Row[Any]) -> "Summary":
        """Return a row of the table."""
        return cls(
            succeeded=row.succeeded,
            failed=row.failed,
            cancelled=row.cancelled,
            waits=_counts(row.waits),
            runs=_counts(row.runs),
        )


@dataclass(kw_only=True)
class History:
    """What became of the jobs of one kind in a window."""

    window: Window
    #: When the window began, in seconds since the epoch, and how many seconds it has lasted.
    began_at: float
    lasted: float
    #: All slots together, and those in which jobs ended, by how many slots they are away from the first.
    total: Summary = field(default_factory=Summary)
    slots: dict[int, Summary] = field(default_factory=dict)


#: The place of a row: seconds of the slot, kind of job, number of the slot.
Place = tuple[int, str, int]


def add_up(ledger: Ledger, until: float) -> tuple[float, bool]:
    """Add up jobs that have ended until that moment, at most about :data:`CHUNK`.

    Return up to which moment all are added up now, and whether that is all that was asked for. The jobs are read
    without a lock; other writers wait only while some rows are written.
    """
    oldest = time.time() - max(span * kept for span, kept in KEPT.items())
    with ledger.reading() as connection:
        marked = added_up_until(connection)
        since = max(marked, oldest)
        if until <= since:
            return since, True
        ended = job.c.ended_at
        last = select(ended).where(ended > since, ended <= until).order_by(ended).offset(CHUNK - 1).limit(1)
        end = connection.execute(last).scalar()
        reached = until if end is None else end
        rows = connection.execute(_ENDED.where(ended > since, ended <= reached)).all()
    found = _by_place(map(tuple, rows))
    with ledger.writing(durable=False) as connection:
        take_turn(connection)
        if added_up_until(connection) != marked:
            return since, False  # another one did it meanwhile
        _write(connection, found)
        connection.execute(delete(mark).where(mark.c.name == _MARK))
        connection.execute(insert(mark).values(name=_MARK, at=reached))
    return reached, end is None


def added_up_until(connection: Connection) -> float:
    """Return up to which moment the jobs that have ended are added up, in seconds since the epoch."""
    return connection.execute(select(mark.c.at).where(mark.c.name == _MARK)).scalar() or 0.0


def histories(connection: Connection, window: Window, of_type: str | None = None) -> dict[str, History]:
    """Return what became of the jobs of each kind in a window, by kind; those without a job are left out."""
    now = time.time()
    first = window.first_slot(now)
    chosen = select(summary).where(summary.c.span == window.span, summary.c.slot >= first)
    if of_type is not None:
        chosen = chosen.where(summary.c.type == of_type)
    found: dict[str, History] = {}
    for row in connection.execute(chosen):
        history = found.setdefault(row.type, empty(window, now))
        of_slot = Summary.of(row)
        history.total.merge(of_slot)
        history.slots[row.slot - first] = of_slot
    return found


def empty(window: Window, now: float) -> History:
    """Return the history of a kind of which no job has ended."""
    began_at = window.first_slot(now) * window.span
    return History(window=window, began_at=began_at, lasted=now - began_at)


def _by_place(rows: Iterable[tuple[Any, ...]]) -> dict[Place, Summary]:
    """Return what became of jobs that have ended, by the minute and by the hour."""
    by_minute: defaultdict[tuple[str, int], Summary] = defaultdict(Summary)
    for kind, state, ended_at, started_at, first_run_at, ready_at in rows:
        found = by_minute[kind, int(ended_at // MINUTE)]
        if state == State.SUCCESS:
            found.succeeded += 1
        elif state == State.FAILURE:
            found.failed += 1
        else:
            found.cancelled += 1
        if first_run_at is not None:
            found.waits[bucket(first_run_at - ready_at)] += 1
        if started_at is not None and state != State.REVOKED:
            found.runs[bucket(ended_at - started_at)] += 1
    now = time.time()
    places: defaultdict[Place, Summary] = defaultdict(Summary)
    for (kind, minute), found in by_minute.items():
        for span, kept in KEPT.items():
            slot = minute * MINUTE // span
            if slot > now // span - kept:
                places[span, kind, slot].merge(found)
    return places


def _write(connection: Connection, found: dict[Place, Summary]) -> None:
    """Add these to what the table has, and remove what is old."""
    if not found:
        return
    place = tuple_(summary.c.span, summary.c.type, summary.c.slot)
    for row in connection.execute(select(summary).where(place.in_(list(found)))):
        found[row.span, row.type, row.slot].merge(Summary.of(row))
    connection.execute(delete(summary).where(place.in_(list(found))))
    connection.execute(insert(summary), [_row(*each) for each in found.items()])
    now = time.time()
    for span, kept in KEPT.items():
        connection.execute(delete(summary).where(summary.c.span == span, summary.c.slot <= now // span - kept))


def _row(place: Place, added: Summary) -> dict[str, Any]:
    span, kind, slot = place
    return {
        "span": span,
        "type": kind,
        "slot": slot,
        "succeeded": added.succeeded,
        "failed": added.failed,
        "cancelled": added.cancelled,
        "waits": {str(number): count for number, count in added.waits.items()},
        "runs": {str(number): count for number, count in added.runs.items()},
    }


def _counts(stored: dict[str, int]) -> Histogram:
    return Counter({int(number): count for number, count in stored.items()})
