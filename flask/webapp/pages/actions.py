"""What the forms on the pages do. Every form works by a page load: the answer leads to a page (Post/Redirect/Get).

``dashboard.js`` sends the same forms, and puts parts of the page that comes back into the one that is open.
"""

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import ValidationError

from jobs.catalogue import JOB_TYPES
from webapp import operations
from webapp.intake import intake, new_job
from webapp.models import NewTodo, TodoChange
from webapp.pages import forms
from webapp.pages.pages import jobs_page, todos_page
from webapp.paging import cursor_after, position_of
from webapp.problems import Problem

blueprint = APIBlueprint("actions", __name__, enable_openapi=False)


@blueprint.before_request
def refuse_other_sites() -> None:
    """Refuse a form that a page of another site has posted in the visitor's name (Fetch Metadata)."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise Problem(403, "This form was sent by a page of another site.")


@blueprint.post("/ui/submit/<name>")
def submit(name: str) -> Response:
    """Submit a job."""
    if name not in JOB_TYPES:
        raise Problem(404, f"There is no kind of job called {name[:50]!r}.")
    form = forms.parse(name, request.form)
    if form.errors:
        return jobs_page(form)
    task_id = intake().accept(new_job(form.job_type, form.submission.input_params, form.submission.run_at))
    return _see(f"/flask/tasks/{task_id}", "accepted")


@blueprint.post("/ui/tasks/<task_id>/cancel")
def cancel(task_id: str) -> Response:
    """Cancel a job."""
    return _see(f"/flask/tasks/{operations.cancel_job(task_id).id}", "cancelled")


@blueprint.post("/ui/tasks/<task_id>/retry")
def retry(task_id: str) -> Response:
    """Run a job again."""
    return _see(f"/flask/tasks/{operations.retry_job(task_id)}", "retried")


@blueprint.post("/ui/todos")
def add_todo() -> Response:
    """Add a to-do."""
    text = request.form.get("text", "")
    try:
        operations.add_todo(NewTodo(text=text))
    except ValidationError as error:
        return todos_page(422, new=text, error=error.errors()[0]["msg"])
    return _see("/flask/todos", "added")


@blueprint.post("/ui/todos/<int:todo_id>")
def change_todo(todo_id: int) -> Response:
    """Change a to-do: a box that is not ticked is not sent."""
    text = request.form.get("text")
    try:
        operations.change_todo(todo_id, TodoChange(text=text, done="done" in request.form))
    except ValidationError as error:
        return todos_page(422, changed=todo_id, text=text or "", error=error.errors()[0]["msg"])
    return _see("/flask/todos", "saved")


@blueprint.post("/ui/todos/<int:todo_id>/delete")
def delete_todo(todo_id: int) -> Response:
    """Delete a to-do."""
    operations.remove_todo(todo_id)
    return _see("/flask/todos", "deleted")


def _see(path: str, word: str) -> Response:
    """Lead on to a page after a form, with what it is to say. A later page of a list stays the one that is seen."""
    page = request.args.get("cursor")
    more = f"&cursor={cursor_after(position_of(page))}" if page else ""
    return Response(status=303, headers={"Location": f"{path}?said={word}{more}"})
