"""To-dos: the data that ``export`` jobs write to a file."""

from typing import Any

from apiflask import APIBlueprint, EmptySchema
from flask import Response, jsonify, url_for
from sqlalchemy import Row

from webapp import todo_store
from webapp.api.openapi import problems
from webapp.models import NewTodo, TodoChange, TodoPage, TodosQuery, TodoView
from webapp.views import timestamp

blueprint = APIBlueprint("todos", __name__, tag="To-dos")


def _view(row: Row[Any]) -> dict[str, Any]:
    return {"id": row.id, "text": row.text, "done": row.done, "created_at": timestamp(row.created_at)}


@blueprint.get("/todos")
@blueprint.input(TodosQuery, location="query")
@blueprint.output(TodoPage)
@blueprint.doc(summary="List to-dos, oldest first", responses=problems(422, 503))
def listing(query_data: TodosQuery) -> Response:
    """List to-dos, oldest first."""
    rows, after = todo_store.page(query_data)
    return jsonify(data=[_view(row) for row in rows], next=after)


@blueprint.post("/todos")
@blueprint.input(NewTodo)
@blueprint.output(TodoView, status_code=201)
@blueprint.doc(summary="Add a to-do", responses=problems(400, 413, 422, 503))
def add(json_data: NewTodo) -> Response:
    """Add a to-do."""
    row = todo_store.add(json_data)
    answer = jsonify(_view(row))
    answer.status_code = 201
    answer.headers["Location"] = url_for("todos.show", todo_id=row.id)
    return answer


@blueprint.get("/todos/<int:todo_id>")
@blueprint.output(TodoView)
@blueprint.doc(summary="One to-do", responses=problems(404, 503))
def show(todo_id: int) -> Response:
    """Return one to-do."""
    return jsonify(_view(todo_store.find(todo_id)))


@blueprint.patch("/todos/<int:todo_id>")
@blueprint.input(TodoChange)
@blueprint.output(TodoView)
@blueprint.doc(summary="Change a to-do", responses=problems(400, 404, 413, 422, 503))
def change(todo_id: int, json_data: TodoChange) -> Response:
    """Change text, tick, or both."""
    return jsonify(_view(todo_store.change(todo_id, json_data)))


@blueprint.delete("/todos/<int:todo_id>")
@blueprint.output(EmptySchema, status_code=204)
@blueprint.doc(summary="Delete a to-do", responses=problems(404, 503))
def remove(todo_id: int) -> tuple[str, int]:
    """Delete a to-do."""
    todo_store.remove(todo_id)
    return "", 204
