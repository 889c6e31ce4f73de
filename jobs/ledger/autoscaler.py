"""The autoscaler, as it was when it looked last, and what it has said: ``autoscaler`` and ``autoscaler_line``."""

import time
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from jobs.ledger.schema import autoscaler, autoscaler_line

#: Lines that are kept.
KEPT = 100
#: Characters of a line that are kept.
LONGEST = 500
#: Seconds without a look after which it counts as silent. It looks about every two seconds.
SILENT = 15.0

Status = Literal["runs", "silent", "ended"]


@dataclass(frozen=True, kw_only=True)
class Autoscaler:
    """What is known of it."""

    #: Names with commas between them.
    queues: str
    #: What its user wants: as :class:`jobs.commands.autoscale_policy.Limits`.
    min_workers: int
    max_workers: int
    wait: float
    cooldown: float
    #: Workers of its queues, with those that just start; and how many it wants.
    workers: int
    wanted: int
    started_at: float
    #: When it looked last.
    seen_at: float
    ended_at: float | None = None

    @property
    def status(self) -> Status:
        """Whether it runs."""
        if self.ended_at is not None:
            return "ended"
        return "runs" if self.seen_at > time.time() - SILENT else "silent"


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that it has said."""

    at: float
    #: One plain sentence: what it does and why, or what it waits for.
    text: str


def looked(connection: Connection, now: Autoscaler, *said: str) -> None:
    """Write down that it has looked, and what it has said."""
    if connection.execute(update(autoscaler).values(asdict(now))).rowcount == 0:
        connection.execute(insert(autoscaler).values(asdict(now)))
    if said:
        lines = [{"at": now.seen_at, "text": text[:LONGEST]} for text in said]
        connection.execute(insert(autoscaler_line), lines)
        newest = select(func.max(autoscaler_line.c.seq)).scalar_subquery()
        connection.execute(delete(autoscaler_line).where(autoscaler_line.c.seq <= newest - KEPT))


def ended(connection: Connection, started_at: float) -> None:
    """Write down that the one that was started then has ended, unless another one has begun meanwhile."""
    mine = update(autoscaler).where(autoscaler.c.started_at == started_at)
    connection.execute(mine.values(ended_at=time.time()))


def find(connection: Connection) -> Autoscaler | None:
    """Return the one that looked last, if there was ever one."""
    row = connection.execute(select(autoscaler)).first()
    return Autoscaler(**row._mapping) if row is not None else None


def lines(connection: Connection) -> list[Line]:
    """Return what it has said, newest first."""
    rows = connection.execute(select(autoscaler_line).order_by(autoscaler_line.c.seq.desc()))
    return [Line(at=row.at, text=row.text) for row in rows]
