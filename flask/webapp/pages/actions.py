"""What the forms on the pages do. Every form works by a page load: the answer leads to a page (Post/Redirect/Get).

``forms.js`` sends the same forms, and puts parts of the page that comes back into the one that is open.
"""

from urllib.parse import quote, urlencode, urlsplit

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import ValidationError

from jobs.catalogue import JOB_TYPES
from webapp import operations, preferences
from webapp.auth import csrf
from webapp.intake import intake, new_job
from webapp.models.schedules import ScheduleChange
from webapp.models.todos import NewTodo, TodoChange
from webapp.pages import forms
from webapp.pages.pages import jobs_page, schedules_page, todos_page
from webapp.paging import cursor_after, position_of
from webapp.problems import Problem
from webapp.workers import drain_worker

blueprint = APIBlueprint("actions", __name__, enable_openapi=False)


@blueprint.post("/ui/submit/<name>")
def submit(name: str) -> Response:
    """Submit a job."""
    form = _sent(forms.SUBMIT, name)
    if form.errors:
        return jobs_page(form)
    sent = form.body
    new = new_job(form.job_type, sent.input_params, run_at=sent.run_at, urgent=sent.priority == "high")
    task_id = intake().accept(new)
    return _see(f"/flask/tasks/{task_id}", "accepted")


@blueprint.post("/ui/tasks/<task_id>/cancel")
def cancel(task_id: str) -> Response:
    """Cancel a job."""
    return _see(f"/flask/tasks/{operations.cancel_job(task_id).id}", "cancelled")


@blueprint.post("/ui/tasks/<task_id>/retry")
def retry(task_id: str) -> Response:
    """Run a job again."""
    return _see(f"/flask/tasks/{operations.retry_job(task_id)}", "retried")


@blueprint.post("/ui/failures/<key>/retry")
def retry_failures(key: str) -> Response:
    """Run all jobs of a group of failures again."""
    return _see(f"/flask/tasks/{operations.retry_failures(key)}", "accepted")


@blueprint.post("/ui/failures/<key>/delete")
def delete_failures(key: str) -> Response:
    """Delete all jobs of a group of failures."""
    return _see(f"/flask/tasks/{operations.delete_failures(key)}", "accepted")


@blueprint.post("/ui/queues/<name>/<any(pause, resume):action>")
def pause_queue(name: str, action: str) -> Response:
    """Pause a queue, or have it go on."""
    operations.pause_queue(name, action == "pause")
    page = f"/flask/queues/{name}" if request.args.get("page") == "queue" else "/flask/queues"
    return _see(page, f"{action}d")


@blueprint.post("/ui/workers/<name>/drain")
def drain(name: str) -> Response:
    """Let a worker take no more jobs."""
    drain_worker(name)
    return _see(f"/flask/workers/{quote(name)}", "drained")


@blueprint.post("/ui/schedules/<name>")
def add_schedule(name: str) -> Response:
    """Add a recurring job of that kind."""
    form = _sent(forms.SCHEDULE, name)
    if not form.errors:
        try:
            operations.add_schedule(form.body)
        except Problem as problem:
            form.refuse(problem)
    return schedules_page(form) if form.errors else _see("/flask/schedules", "added")


@blueprint.post("/ui/schedules/<name>/<any(pause, resume):action>")
def pause_schedule(name: str, action: str) -> Response:
    """Pause a recurring job, or have it go on."""
    operations.change_schedule(name, ScheduleChange(paused=action == "pause"))
    return _see("/flask/schedules", "changed")


@blueprint.post("/ui/schedules/<name>/delete")
def delete_schedule(name: str) -> Response:
    """Delete a recurring job."""
    operations.remove_schedule(name)
    return _see("/flask/schedules", "deleted")


def _sent(purpose: forms.Purpose, name: str) -> forms.Form:
    """Return the form that was sent. Raises a 404 problem for a kind of job that there is not."""
    if name not in JOB_TYPES:
        raise Problem(404, f"There is no kind of job called {name[:50]!r}.")
    fields = {field: text for field, text in request.form.items() if field != csrf.FIELD}
    return forms.parse(purpose, name, fields)


@blueprint.post("/ui/preferences")
def keep_preferences() -> Response:
    """Remember how somebody wants to see the pages, and show the page again that they came from."""
    # Only its path is used: it leads to no other host.
    came_from = urlsplit(request.referrer or "")
    there = f"{came_from.path}?{came_from.query}" if came_from.path.startswith("/flask") else "/flask"
    answer = Response(status=303, headers={"Location": there})
    preferences.keep(answer, request.form)
    return answer


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
    return _see("/flask/todos", "deleted", deleted=str(todo_id))


@blueprint.post("/ui/todos/<int:todo_id>/restore")
def restore_todo(todo_id: int) -> Response:
    """Take back that a to-do was deleted."""
    operations.restore_todo(todo_id)
    return _see("/flask/todos", "restored")


@blueprint.post("/ui/todos/export")
def export_todos() -> Response:
    """Submit an export; the page of the to-dos says how it stands, and offers the file."""
    sent = _sent(forms.SUBMIT, "export")
    if sent.errors:
        raise Problem(422, "; ".join(sent.errors.values()))
    task_id = intake().accept(new_job(sent.job_type, sent.body.input_params))
    return _see("/flask/todos", "accepted", following=task_id)


def _see(path: str, word: str, **more: str) -> Response:
    """Lead on to a page after a form, with what it is to say. A later page of a list stays the one that is seen."""
    page = request.args.get("cursor")
    if page:
        more["cursor"] = cursor_after(position_of(page))
    return Response(status=303, headers={"Location": f"{path}?{urlencode({'said': word, **more})}"})
