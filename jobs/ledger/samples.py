"""What the queues looked like, every few seconds: the table ``sample``."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, insert, select

from jobs.ledger.records import QueueSample
from jobs.ledger.schema import sample


def record(connection: Connection, samples: Sequence[QueueSample], keep_since: float) -> None:
    """Write samples, and delete those from before ``keep_since``."""
    connection.execute(insert(sample), [asdict(each) for each in samples])
    connection.execute(delete(sample).where(sample.c.at < keep_since))


def since(connection: Connection, moment: float) -> list[QueueSample]:
    """Return the samples taken after that time, oldest first."""
    rows = connection.execute(select(sample).where(sample.c.at > moment).order_by(sample.c.at))
    return [QueueSample(**row._mapping) for row in rows]


def answered_at(connection: Connection) -> float | None:
    """Return when RabbitMQ answered last, as far as samples are kept."""
    return connection.execute(select(func.max(sample.c.at)).where(sample.c.ready.is_not(None))).scalar()


def newest_at(connection: Connection) -> float | None:
    """Return when the last samples were taken, if there are any."""
    return connection.execute(select(func.max(sample.c.at))).scalar()
