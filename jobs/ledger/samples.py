"""What the queues looked like, every few seconds for an hour and every minute for a day: the table ``sample``."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Float, Integer, case, cast, delete, false, func, insert, select, true

from jobs.ledger.records import QueueSample
from jobs.ledger.schema import sample

#: Seconds that samples are kept: all of them, and the first one of each minute.
KEPT, MINUTES_KEPT = 3600.0, 86_400.0


def record(connection: Connection, samples: Sequence[QueueSample]) -> None:
    """Write samples of one moment; once a minute, delete those that are old."""
    at = samples[0].at
    before = newest_at(connection)
    of_minute = before is None or at // 60 > before // 60
    connection.execute(insert(sample), [asdict(each) | {"of_minute": of_minute} for each in samples])
    if of_minute:
        not_kept = (sample.c.at < at - KEPT) & (sample.c.of_minute == false())
        connection.execute(delete(sample).where((sample.c.at < at - MINUTES_KEPT) | not_kept))


def since(connection: Connection, moment: float) -> list[QueueSample]:
    """Return the samples taken after that time, oldest first: before the last hour, those of a minute."""
    columns = [column for column in sample.c if column is not sample.c.of_minute]
    rows = connection.execute(select(*columns).where(sample.c.at > moment).order_by(sample.c.at))
    return [QueueSample(**row._mapping) for row in rows]


def means(connection: Connection, moment: float, step: float, *, of_minutes: bool) -> list[QueueSample]:
    """Return the means of all samples of each ``step`` seconds since that time, oldest first.

    ``of_minutes`` says to take one sample of each minute only: there are more of the last hour.
    """
    step_of = func.floor(sample.c.at / step)
    names = ("ready", "unacknowledged", "consumers", "unfinished", "scheduled")
    counts = [cast(func.round(func.avg(sample.c[name])), Integer).label(name) for name in names]
    rates = [cast(func.avg(sample.c[name]), Float).label(name) for name in ("in_rate", "out_rate")]
    paused = func.max(case((sample.c.paused, 1), else_=0)).label("paused")
    last = func.max(sample.c.at)
    chosen = select(last.label("at"), sample.c.name, *counts, *rates, paused)
    chosen = chosen.where(sample.c.at > moment).group_by(step_of, sample.c.name).order_by(last)
    if of_minutes:
        chosen = chosen.where(sample.c.of_minute == true())
    return [QueueSample(**{**row._mapping, "paused": bool(row.paused)}) for row in connection.execute(chosen)]


def answered_at(connection: Connection) -> float | None:
    """Return when RabbitMQ answered last, as far as samples are kept."""
    return connection.execute(select(func.max(sample.c.at)).where(sample.c.ready.is_not(None))).scalar()


def newest_at(connection: Connection) -> float | None:
    """Return when the last samples were taken, if there are any."""
    return connection.execute(select(func.max(sample.c.at))).scalar()
