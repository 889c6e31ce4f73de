"""The dashboard: pages for people, at the addresses that give programs JSON, and the forms on them.

Every form works by a page load: it is posted, and the answer leads to a page (Post/Redirect/Get). ``dashboard.js``
sends the same forms and puts parts of the same pages into the one that is open.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import ConfigDict, Field, ValidationError
from sqlalchemy import Connection, Row

from jobs import states
from jobs.catalogue import JOB_TYPES, QUEUES
from jobs.ledger import queries
from jobs.ledger.database import ledger
from jobs.sampling import time_left
from jobs.settings import settings
from webapp import forms, jobs, todo_store
from webapp.intake import intake
from webapp.models import JobsQuery, NewTodo, TodoChange, TodosQuery
from webapp.negotiation import wants_html
from webapp.problems import Problem, fields_problem
from webapp.rendering import render
from webapp.submission import new_job
from webapp.views import cursor, from_cursor

blueprint = APIBlueprint("dashboard", __name__, enable_openapi=False)

#: Seconds after which a sample is old: whoever takes them, every two seconds, does not.
OLD_SAMPLE = 10.0
#: Characters of an id that a search needs.
SHORTEST_SEARCH = 4

#: What a page says after a form was posted; the address has only the word.
NOTICES = {
    "accepted": "Accepted: the job is on disk.",
    "cancelled": "Cancelled.",
    "retried": "Accepted again, as a new job.",
    "added": "Added.",
    "saved": "Saved.",
    "deleted": "Deleted.",
}


class ListQuery(JobsQuery):
    """Query of the page of jobs: that of the API, and a search."""

    model_config = ConfigDict(extra="ignore")

    q: str | None = Field(None, min_length=SHORTEST_SEARCH, max_length=36)


# --- pages ------------------------------------------------------------------------------------------------------------


@blueprint.before_app_request
def page_for_browsers() -> Response | None:
    """Answer a browser with a page where there is one; everything else goes its way."""
    if request.method not in ("GET", "HEAD") or request.endpoint not in _PAGES or not wants_html():
        return None
    return _PAGES[request.endpoint](**(request.view_args or {}))


def jobs_page(form: forms.Form | None = None) -> Response:
    """Show the jobs, a form to submit one, and the queues."""
    query = _checked(ListQuery, {name: text for name, text in request.args.items() if text})
    prefix = query.q.strip().lower() if query.q else None
    name = request.args.get("form", "heavy")
    rows, older = jobs.find_page(query, prefix)
    with ledger().reading() as connection:
        panel = panel_html(connection)
    return _page(
        "jobs.html",
        422 if form else 200,
        form=form or forms.blank(name if name in JOB_TYPES else "heavy"),
        job_types=JOB_TYPES,
        all_states=states.ALL,
        query=query,
        prefix=prefix or "",
        rows=rows_html(rows),
        older=older,
        end=rows[-1].seq if older else None,
        panel=panel,
        queue_names=list(QUEUES),
    )


def job_page(task_id: str) -> Response:
    """Show everything about a job."""
    row = jobs.find(task_id)
    with ledger().reading() as connection:
        attempts = queries.past_attempts(connection, task_id)
    return _page("job.html", row=row, attempts=attempts, address=request.host_url, **_ACTIONS)


def todos_page(
    status: int = 200, *, new: str = "", error: str = "", changed: int | None = None, text: str = ""
) -> Response:
    """Show the to-dos; with an ``error``, that of a new one or of the one that was to be ``changed``."""
    query = _checked(TodosQuery, {name: text for name, text in request.args.items() if name == "cursor" and text})
    rows, after = todo_store.page(query)
    return _page(
        "todos.html",
        status,
        rows=rows,
        after=after,
        cursor=query.cursor,
        new=new,
        error=error,
        changed=changed,
        text=text,
    )


_PAGES: dict[str, Callable[..., Response]] = {
    "home.index": jobs_page,
    "jobs.listing": jobs_page,
    "jobs.show": job_page,
    "todos.listing": todos_page,
}


# --- parts of pages, which are pushed to open ones as well ------------------------------------------------------------

#: What can be done with a job, for the templates.
_ACTIONS: dict[str, Any] = {"running": states.RUNNING, "ended": states.ENDED, "retryable": jobs.RETRYABLE}


def rows_html(rows: Sequence[Row[Any]]) -> str:
    """Return rows of the list of jobs."""
    return render("_rows.html", rows=rows, cursor=cursor, **_ACTIONS)


def trouble_html(connection: Connection) -> str:
    """Return what all pages say at the top while something does not work: nothing when all is well."""
    samples = queries.samples(connection, time.time() - OLD_SAMPLE)
    return render(
        "_trouble.html",
        sampled=bool(samples),
        broker=not samples or samples[-1].ready is not None,
        alive=queries.living(queries.workers(connection), settings().worker_lease),
    )


def panel_html(connection: Connection) -> str:
    """Return what the panel of queues and workers shows, of the newest sample of each queue."""
    samples = {row.queue: row for row in queries.samples(connection, time.time() - OLD_SAMPLE)}
    open_counts = queries.open_counts(connection)
    doing: dict[str, list[Row[Any]]] = {}
    for row in queries.running(connection):
        doing.setdefault(row.worker, []).append(row)
    workers = queries.workers(connection)
    alive = queries.living(workers, settings().worker_lease)
    unfinished = {name: sum(open_counts.get(name, {}).values()) for name in QUEUES}
    return render(
        "_panel.html",
        queues=[
            {
                "name": name,
                "unfinished": unfinished[name],
                "sample": samples.get(name),
                "time_left": time_left(unfinished[name], sample.in_rate, sample.out_rate)
                if (sample := samples.get(name))
                else None,
            }
            for name in QUEUES
        ],
        workers=workers,
        alive={row.id for row in alive},
        doing=doing,
        overloaded=sum(unfinished.values()) > sum(row.concurrency for row in alive),
    )


# --- forms ------------------------------------------------------------------------------------------------------------


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
    return _see(f"/flask/tasks/{jobs.cancelled(task_id).id}", "cancelled")


@blueprint.post("/ui/tasks/<task_id>/retry")
def retry(task_id: str) -> Response:
    """Run a job again."""
    return _see(f"/flask/tasks/{jobs.run_again(task_id)}", "retried")


@blueprint.post("/ui/todos")
def add_todo() -> Response:
    """Add a to-do."""
    text = request.form.get("text", "")
    try:
        todo_store.add(NewTodo(text=text))
    except ValidationError as error:
        return todos_page(422, new=text, error=error.errors()[0]["msg"])
    return _see("/flask/todos", "added")


@blueprint.post("/ui/todos/<int:todo_id>")
def change_todo(todo_id: int) -> Response:
    """Change a to-do: a box that is not ticked is not sent."""
    text = request.form.get("text")
    try:
        todo_store.change(todo_id, TodoChange(text=text, done="done" in request.form))
    except ValidationError as error:
        return todos_page(422, changed=todo_id, text=text or "", error=error.errors()[0]["msg"])
    return _see("/flask/todos", "saved")


@blueprint.post("/ui/todos/<int:todo_id>/delete")
def delete_todo(todo_id: int) -> Response:
    """Delete a to-do."""
    todo_store.remove(todo_id)
    return _see("/flask/todos", "deleted")


# --- what they share --------------------------------------------------------------------------------------------------


def _page(template: str, status: int = 200, **values: Any) -> Response:
    notice = NOTICES.get(request.args.get("said", ""), "")
    with ledger().reading() as connection:
        trouble = trouble_html(connection)
    answer = Response(render(template, notice=notice, trouble=trouble, **values), status, mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"  # one that is gone back to is loaded again, and shows what is now
    return answer


def _see(path: str, word: str) -> Response:
    """Lead on to a page after a form, with what it is to say. A later page of a list stays the one that is seen."""
    page = request.args.get("cursor")
    more = f"&cursor={cursor(from_cursor(page))}" if page else ""
    return Response(status=303, headers={"Location": f"{path}?said={word}{more}"})


def _checked(model: Any, values: dict[str, str]) -> Any:
    """Return the query of a page. Raises a 422 problem that names the field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [{"field": str(item["loc"][0]), "message": item["msg"]} for item in error.errors()]
        raise fields_problem(422, found) from None
