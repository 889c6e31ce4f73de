"""The to-dos in the ledger, for the API and for the dashboard."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from jobs.ledger.database import ledger
from jobs.ledger.schema import todo
from webapp.intake import intake
from webapp.models import NewTodo, TodoChange, TodosQuery
from webapp.problems import Problem, field_problem
from webapp.views import cursor, from_cursor

LARGEST_ID = 2**63 - 1


def page(query: TodosQuery) -> tuple[Sequence[Row[Any]], str | None]:
    """Return a page of to-dos, oldest first, and the cursor of the next one."""
    statement = select(todo).order_by(todo.c.id).limit(query.limit + 1)
    if query.cursor is not None:
        statement = statement.where(todo.c.id > from_cursor(query.cursor))
    if query.done is not None:
        statement = statement.where(todo.c.done == query.done)
    with ledger().reading() as connection:
        rows = connection.execute(statement).all()
    shown = rows[: query.limit]
    return shown, cursor(shown[-1].id) if len(rows) > query.limit else None


def add(new: NewTodo) -> Row[Any]:
    """Add a to-do and return its row."""
    statement = insert(todo).values(**new.model_dump(), created_at=time.time()).returning(todo)
    return intake().write(lambda connection: connection.execute(statement).one())


def find(todo_id: int) -> Row[Any]:
    """Return the row of a to-do. Raises a 404 problem."""
    with ledger().reading() as connection:
        row = connection.execute(select(todo).where(_is(todo_id))).first()
    if row is None:
        raise _missing(todo_id)
    return row


def change(todo_id: int, changes: TodoChange) -> Row[Any]:
    """Change text, tick, or both, and return the row. Raises a 404 problem, and a 422 problem for no change at all."""
    values = changes.model_dump(exclude_none=True)
    if not values:
        raise field_problem(422, "body", "give text, done or both")
    statement = update(todo).where(_is(todo_id)).values(**values).returning(todo)
    row = intake().write(lambda connection: connection.execute(statement).first())
    if row is None:
        raise _missing(todo_id)
    return row


def remove(todo_id: int) -> None:
    """Delete a to-do. Raises a 404 problem."""
    # Raised here and not in the transaction, which others share.
    if intake().write(lambda connection: connection.execute(delete(todo).where(_is(todo_id))).rowcount) == 0:
        raise _missing(todo_id)


def _missing(todo_id: int) -> Problem:
    return Problem(404, f"There is no to-do with the id {todo_id}.")


def _is(todo_id: int) -> ColumnElement[bool]:
    """Return the condition that finds one to-do. Raises a 404 problem for an id that no database can hold."""
    if todo_id > LARGEST_ID:
        raise _missing(todo_id)
    return todo.c.id == todo_id
