"""Who did what: the table ``audit``. A row is written in the transaction of the change that it tells of."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from jobs.ledger.records import AuditEntry
from jobs.ledger.schema import IS_NO_SUBMISSION, audit

_COLUMNS = ", ".join(AuditEntry._fields)


def add(connection: Connection, *entries: AuditEntry) -> None:
    """Write what was done, at least one thing."""
    # Straight to the driver: each submission waits for this, and SQLAlchemy would take longer than the database.
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(AuditEntry._fields))
    connection.exec_driver_sql(f"INSERT INTO audit ({_COLUMNS}) VALUES ({marks})", list(entries))


def page(
    connection: Connection, *, limit: int, before: int | None = None, who: str | None = None, subject: str | None = None
) -> list[tuple[int, AuditEntry]]:
    """Return up to ``limit`` entries, newest first, each with its number, by which the next page goes on."""
    statement = select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if before is not None:
        statement = statement.where(audit.c.seq < before)
    if who is not None:
        statement = statement.where(audit.c.who == who)
    if subject is not None:
        statement = statement.where(audit.c.subject == subject)
    return [(row.seq, _entry(row)) for row in connection.execute(statement)]


def done_to(connection: Connection, subject: str, limit: int) -> list[AuditEntry]:
    """Return up to ``limit`` things that were done to a job since it was submitted, newest first."""
    done = select(audit).where(audit.c.subject == subject, IS_NO_SUBMISSION, audit.c.outcome == "done")
    return [_entry(row) for row in connection.execute(done.order_by(audit.c.seq.desc()).limit(limit))]


def after(connection: Connection, number: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
    """Return up to ``limit`` entries that come after that number, oldest first."""
    statement = select(audit).where(audit.c.seq > number).order_by(audit.c.seq).limit(limit)
    return [(row.seq, _entry(row)) for row in connection.execute(statement)]


def expire(connection: Connection, before: float, limit: int) -> int:
    """Delete those of the ``limit`` oldest entries that are of before that time; return how many."""
    entry = audit.alias()
    first = select(func.min(entry.c.seq)).scalar_subquery()
    return connection.execute(delete(audit).where(audit.c.seq < first + limit, audit.c.at < before)).rowcount


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**{name: value for name, value in row._mapping.items() if name != "seq"})
