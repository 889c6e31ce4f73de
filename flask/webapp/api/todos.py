"""To-dos: the data that ``export`` jobs write to a file."""

from apiflask import APIBlueprint, EmptySchema
from flask import Response, jsonify, url_for

from webapp import operations
from webapp.api.openapi import error_responses
from webapp.models.todos import NewTodo, TodoChange, TodoPage, TodosQuery, TodoView
from webapp.views import todo_view

blueprint = APIBlueprint("todos", __name__, tag="To-dos")


@blueprint.get("/todos")
@blueprint.input(TodosQuery, location="query")
@blueprint.output(TodoPage)
@blueprint.doc(summary="List to-dos, oldest first", responses=error_responses(422, 503))
def listing(query_data: TodosQuery) -> Response:
    """List to-dos, oldest first."""
    todos, after = operations.list_todos(query_data)
    return jsonify(data=[todo_view(todo) for todo in todos], next=after)


@blueprint.post("/todos")
@blueprint.input(NewTodo)
@blueprint.output(TodoView, status_code=201)
@blueprint.doc(summary="Add a to-do", responses=error_responses(400, 413, 422, 503))
def add(json_data: NewTodo) -> Response:
    """Add a to-do."""
    todo = operations.add_todo(json_data)
    answer = jsonify(todo_view(todo))
    answer.status_code = 201
    answer.headers["Location"] = url_for("todos.show", todo_id=todo.id)
    return answer


@blueprint.get("/todos/<int:todo_id>")
@blueprint.output(TodoView)
@blueprint.doc(summary="One to-do", responses=error_responses(404, 503))
def show(todo_id: int) -> Response:
    """Return one to-do."""
    return jsonify(todo_view(operations.find_todo(todo_id)))


@blueprint.patch("/todos/<int:todo_id>")
@blueprint.input(TodoChange)
@blueprint.output(TodoView)
@blueprint.doc(summary="Change a to-do", responses=error_responses(400, 404, 413, 422, 503))
def change(todo_id: int, json_data: TodoChange) -> Response:
    """Change text, tick, or both."""
    return jsonify(todo_view(operations.change_todo(todo_id, json_data)))


@blueprint.delete("/todos/<int:todo_id>")
@blueprint.output(EmptySchema, status_code=204)
@blueprint.doc(summary="Delete a to-do", responses=error_responses(404, 503))
def remove(todo_id: int) -> tuple[str, int]:
    """Delete a to-do."""
    operations.remove_todo(todo_id)
    return "", 204
