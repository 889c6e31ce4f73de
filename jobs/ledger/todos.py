"""The to-dos: the table ``todo``."""

import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, update

from jobs.catalogue import ExportFilters
from jobs.ledger.database import Ledger
from jobs.ledger.records import Todo
from jobs.ledger.schema import todo

#: To-dos of an export that are in memory at a time.
PAGE = 1000
#: What the database can hold as an id.
LARGEST_ID = 2**63 - 1
#: Seconds that a deleted to-do can be restored.
KEPT_FOR = 3600.0

_THERE = todo.c.deleted_at.is_(None)
#: What a :class:`Todo` has.
_COLUMNS = [todo.c[each.name] for each in fields(Todo)]


def page(connection: Connection, *, limit: int, after: int | None = None, done: bool | None = None) -> list[Todo]:
    """Return up to ``limit`` to-dos, oldest first; ``after`` is the id of the last one of the page before."""
    statement = select(*_COLUMNS).where(_THERE).order_by(todo.c.id).limit(limit)
    if after is not None:
        statement = statement.where(todo.c.id > after)
    if done is not None:
        statement = statement.where(todo.c.done == done)
    return [_todo(row) for row in connection.execute(statement)]


def find(connection: Connection, todo_id: int) -> Todo | None:
    """Return one to-do, if there is one with that id."""
    row = connection.execute(select(*_COLUMNS).where(_is(todo_id))).first()
    return _todo(row) if row is not None else None


def add(connection: Connection, text: str, done: bool) -> Todo:
    """Write a to-do and return it."""
    statement = insert(todo).values(text=text, done=done, created_at=time.time()).returning(*_COLUMNS)
    return _todo(connection.execute(statement).one())


def change(connection: Connection, todo_id: int, values: dict[str, Any]) -> Todo | None:
    """Change ``text``, ``done`` or both; return the to-do, or ``None`` if there is none."""
    row = connection.execute(update(todo).where(_is(todo_id)).values(**values).returning(*_COLUMNS)).first()
    return _todo(row) if row is not None else None


def remove(connection: Connection, todo_id: int) -> bool:
    """Delete a to-do; ``False`` if there is none. For :data:`KEPT_FOR` seconds it can be restored."""
    now = time.time()
    connection.execute(delete(todo).where(todo.c.deleted_at < now - KEPT_FOR))
    return connection.execute(update(todo).where(_is(todo_id)).values(deleted_at=now)).rowcount == 1


def restore(connection: Connection, todo_id: int) -> bool:
    """Bring back a to-do that was deleted; ``False`` if that was too long ago, or there is none."""
    statement = update(todo).where(todo.c.id == _possible(todo_id), todo.c.deleted_at > time.time() - KEPT_FOR)
    return connection.execute(statement.values(deleted_at=None)).rowcount == 1


def export(ledger: Ledger, filters: ExportFilters) -> Iterator[tuple[float, list[Todo]]]:
    """Yield page by page the share that has been gone through (0 to 1), and the to-dos that pass, oldest first.

    To-dos that are added meanwhile are not among them. No page keeps the database from anything else. Text is compared
    without regard to case in Python, because SQLite's own comparison knows only ASCII.
    """
    with ledger.reading() as connection:
        newest = connection.execute(select(func.max(todo.c.id))).scalar() or 0
    wanted_ones = _THERE, todo.c.id <= newest, *_conditions(filters)
    statement = select(*_COLUMNS).where(*wanted_ones).order_by(todo.c.id).limit(PAGE)
    wanted = (filters.text or "").casefold()
    last = 0
    while True:
        with ledger.reading() as connection:
            rows = connection.execute(statement.where(todo.c.id > last)).all()
        if not rows:
            return
        last = rows[-1].id
        yield last / newest, [_todo(row) for row in rows if wanted in row.text.casefold()]


def _conditions(filters: ExportFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.done is not None:
        conditions.append(todo.c.done.is_(filters.done))
    if filters.created_from is not None:
        conditions.append(todo.c.created_at >= filters.created_from.timestamp())
    if filters.created_to is not None:
        conditions.append(todo.c.created_at < filters.created_to.timestamp())
    return conditions


def _is(todo_id: int) -> ColumnElement[bool]:
    return and_(todo.c.id == _possible(todo_id), _THERE)


def _possible(todo_id: int) -> int:
    # No to-do has the id 0, which stands for all those that the database cannot hold.
    return todo_id if todo_id <= LARGEST_ID else 0


def _todo(row: Row[Any]) -> Todo:
    return Todo(**row._mapping)
