"""To-dos: the data that ``export`` jobs write to a file."""

import time
from typing import Any

from apiflask import APIBlueprint, EmptySchema
from flask import Response, jsonify, url_for
from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from jobs.ledger.database import ledger
from jobs.ledger.schema import todo
from webapp.documentation import problems
from webapp.intake import intake
from webapp.models import NewTodo, TodoChange, TodoPage, TodosQuery, TodoView
from webapp.problems import Problem, field_problem
from webapp.views import cursor, from_cursor, timestamp

blueprint = APIBlueprint("todos", __name__, tag="To-dos")

LARGEST_ID = 2**63 - 1


def _view(row: Row[Any]) -> dict[str, Any]:
    return {"id": row.id, "text": row.text, "done": row.done, "created_at": timestamp(row.created_at)}


def _missing(todo_id: int) -> Problem:
    return Problem(404, f"There is no to-do with the id {todo_id}.")


def _is(todo_id: int) -> ColumnElement[bool]:
    """Return the condition that finds one to-do. Raises a 404 problem for an id that no database can hold."""
    if todo_id > LARGEST_ID:
        raise _missing(todo_id)
    return todo.c.id == todo_id


@blueprint.get("/todos")
@blueprint.input(TodosQuery, location="query")
@blueprint.output(TodoPage)
@blueprint.doc(summary="List to-dos, oldest first", responses=problems(422, 503))
def listing(query_data: TodosQuery) -> Response:
    """List to-dos, oldest first."""
    statement = select(todo).order_by(todo.c.id).limit(query_data.limit + 1)
    if query_data.cursor is not None:
        statement = statement.where(todo.c.id > from_cursor(query_data.cursor))
    if query_data.done is not None:
        statement = statement.where(todo.c.done == query_data.done)
    with ledger().reading() as connection:
        rows = connection.execute(statement).all()
    shown = rows[: query_data.limit]
    return jsonify(
        data=[_view(row) for row in shown],
        next=cursor(shown[-1].id) if len(rows) > query_data.limit else None,
    )


@blueprint.post("/todos")
@blueprint.input(NewTodo)
@blueprint.output(TodoView, status_code=201)
@blueprint.doc(summary="Add a to-do", responses=problems(400, 413, 422, 503))
def add(json_data: NewTodo) -> Response:
    """Add a to-do."""
    statement = insert(todo).values(**json_data.model_dump(), created_at=time.time()).returning(todo)
    row = intake().write(lambda connection: connection.execute(statement).one())
    answer = jsonify(_view(row))
    answer.status_code = 201
    answer.headers["Location"] = url_for("todos.show", todo_id=row.id)
    return answer


@blueprint.get("/todos/<int:todo_id>")
@blueprint.output(TodoView)
@blueprint.doc(summary="One to-do", responses=problems(404, 503))
def show(todo_id: int) -> Response:
    """Return one to-do."""
    with ledger().reading() as connection:
        row = connection.execute(select(todo).where(_is(todo_id))).first()
    if row is None:
        raise _missing(todo_id)
    return jsonify(_view(row))


@blueprint.patch("/todos/<int:todo_id>")
@blueprint.input(TodoChange)
@blueprint.output(TodoView)
@blueprint.doc(summary="Change a to-do", responses=problems(400, 404, 413, 422, 503))
def change(todo_id: int, json_data: TodoChange) -> Response:
    """Change text, tick, or both."""
    changes = json_data.model_dump(exclude_none=True)
    if not changes:
        raise field_problem(422, "body", "give text, done or both")
    statement = update(todo).where(_is(todo_id)).values(**changes).returning(todo)
    row = intake().write(lambda connection: connection.execute(statement).first())
    if row is None:
        raise _missing(todo_id)
    return jsonify(_view(row))


@blueprint.delete("/todos/<int:todo_id>")
@blueprint.output(EmptySchema, status_code=204)
@blueprint.doc(summary="Delete a to-do", responses=problems(404, 503))
def remove(todo_id: int) -> tuple[str, int]:
    """Delete a to-do."""
    # Raised here and not in the transaction, which others share.
    if intake().write(lambda connection: connection.execute(delete(todo).where(_is(todo_id))).rowcount) == 0:
        raise _missing(todo_id)
    return "", 204
