"""The to-dos that an export is about, page by page: no page keeps the database from anything else."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from jobs.catalogue import ExportFilters
from jobs.ledger.database import Ledger
from jobs.ledger.schema import todo

#: To-dos in memory at a time.
PAGE = 1000


def pages(ledger: Ledger, filters: ExportFilters) -> Iterator[tuple[float, Sequence[Row[Any]]]]:
    """Yield what share of the to-dos has been gone through (0 to 1), and those of that page that pass, oldest first.

    To-dos that are added meanwhile are not among them. Text is compared without regard to case, in any language: in
    Python, because SQLite's own comparison knows only ASCII.
    """
    with ledger.reading() as connection:
        newest = connection.execute(select(func.max(todo.c.id))).scalar() or 0
    statement = select(todo).where(todo.c.id <= newest, *_conditions(filters)).order_by(todo.c.id).limit(PAGE)
    wanted = (filters.text or "").casefold()
    last = 0
    while True:
        with ledger.reading() as connection:
            rows = connection.execute(statement.where(todo.c.id > last)).all()
        if not rows:
            return
        last = rows[-1].id
        yield last / newest, [row for row in rows if wanted in row.text.casefold()]


def _conditions(filters: ExportFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.done is not None:
        conditions.append(todo.c.done.is_(filters.done))
    if filters.created_from is not None:
        conditions.append(todo.c.created_at >= filters.created_from.timestamp())
    if filters.created_to is not None:
        conditions.append(todo.c.created_at < filters.created_to.timestamp())
    return conditions
