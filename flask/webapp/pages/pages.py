"""The pages for people, at the addresses that give programs JSON."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from apiflask import APIBlueprint
from flask import Response, request

from jobs import slots
from jobs.catalogue import JOB_TYPES, QUEUES
from jobs.ledger import audit, autoscaler, failures, queries, schedules
from jobs.ledger.database import ledger
from jobs.ledger.records import Schedule
from jobs.windows import WINDOWS
from webapp.auth.actor import actor
from webapp.figures import find_kind, kinds_in, windows_of
from webapp.models.kinds import WindowQuery
from webapp.models.service import AuditQuery
from webapp.models.todos import TodosQuery
from webapp.negotiation import wants_html
from webapp.operations import (
    JobsPage,
    belongings_of,
    check_queue,
    find_job,
    list_audit,
    list_failures,
    list_jobs,
    list_schedules,
    list_todos,
)
from webapp.pages import curl, forms, story
from webapp.pages.asked import address, asked_for, list_query, possible, what_is_wrong
from webapp.pages.fragments import around_html, following_html, newest_samples, panel_html, rows_html
from webapp.pages.tabs import TABS, tally
from webapp.paging import cursor_before
from webapp.problems import checked
from webapp.rendering import render
from webapp.workers import find_worker, recent_jobs, registered, takers

blueprint = APIBlueprint("pages", __name__, enable_openapi=False)

#: How far back figures go, in words.
WINDOW_WORDS = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days"}

#: Slots of a schedule that its page shows.
UPCOMING = 5

#: What an address has only right after a form was posted.
OF_MOMENT = ("following", "said", "deleted")

#: What a page says after a form was posted; the address has only the word.
NOTICES = {
    "accepted": "Accepted: the job is on disk.",
    "cancelled": "Cancelled.",
    "retried": "Accepted again, as a new job.",
    "paused": "Paused: jobs of this queue wait. What runs goes on.",
    "resumed": "Resumed.",
    "drained": "Drained: it takes no more jobs. What it runs goes on.",
    "changed": "Changed.",
    "added": "Added.",
    "saved": "Saved.",
    "deleted": "Deleted.",
    "restored": "It is there again.",
    "none": "No job is selected.",
    "undone": "Undone: nothing was changed.",
}


@blueprint.before_app_request
def page_for_browsers() -> Response | None:
    """Answer a browser with a page where there is one; everything else goes its way."""
    if request.method not in ("GET", "HEAD") or request.endpoint not in _PAGES or not wants_html():
        return None
    return _PAGES[request.endpoint](**(request.view_args or {}))


@blueprint.get("/docs")
def docs() -> str:
    """Show the API, with a way to try each route; also while the ledger does not answer."""
    return render("docs.html")


def jobs_page(form: forms.Form | None = None) -> Response:
    """Show the jobs, and a form to submit one; with a ``form``, the one that was sent with its errors."""
    words = request.args.get("q", "").strip()
    wrong = what_is_wrong(words)
    query = list_query(without=["q"] if wrong else [])
    found = list_jobs(query) if not wrong else JobsPage([])
    asked = asked_for(query)
    with ledger().reading() as connection:
        counts = tally.counts(connection)
        group = failures.find(connection, query.failure) if query.failure else None
    return show_page(
        "jobs.html",
        422 if form or wrong else 200,
        form=form or _form_asked_for(),
        opened=form is not None or not {"form", "again"}.isdisjoint(request.args),
        job_types=JOB_TYPES,
        tabs=TABS,
        counts=counts,
        query=query,
        words=words,
        wrong=wrong,
        back_to=found.back_to,
        group=group,
        asked=asked,
        address=partial(address, asked),
        possible=possible(query),
        whole=bool(found.jobs),
        rows=rows_html(found.jobs),
        older=found.older,
        newer=cursor_before(found.jobs[0].seq) if found.jobs else None,
        has_newer=found.newer is not None,
        end=found.jobs[-1].seq if found.jobs and found.older else None,
    )


def _form_asked_for() -> forms.Form:
    """Return the form for the kind that the address names, or with the parameters of the job that is to run again.

    Raises a 404 problem for a job that there is not.
    """
    again = request.args.get("again")
    job = find_job(again) if again else None
    if job is not None and job.type in JOB_TYPES:
        return forms.filled(forms.SUBMIT, job)
    name = request.args.get("form")
    return forms.blank(forms.SUBMIT, name if name in JOB_TYPES else "heavy")


def queues_page() -> Response:
    """Show the queues and the workers."""
    with ledger().reading() as connection:
        panel = panel_html(connection)
    return show_page("queues.html", panel=panel, only=list(QUEUES))


def job_page(task_id: str) -> Response:
    """Show everything about a job."""
    job = find_job(task_id)
    with ledger().reading() as connection:
        more = belongings_of(connection, job)
        # What a job repeats may be gone: it is the older of the two.
        repeats = queries.find(connection, job.retry_of) if job.retry_of else None
        done_by = audit.done_to(connection, task_id, limit=20)
    login = actor() is not None
    return show_page(
        "job.html",
        row=job,
        moments=story.told(job, more.past, more.reports),
        lanes=story.lanes(story.told(job, more.past)),
        traceback=more.traceback,
        repeats=repeats,
        retried_as=more.retried_as,
        done_by=done_by,
        job_types=JOB_TYPES,
        look=curl.look(request.host_url, job, login=login),
        submit=curl.submit(request.host_url, job, login=login),
    )


def failures_page() -> Response:
    """Show the groups of failures."""
    return show_page("failures.html", rows=list_failures())


def kinds_page() -> Response:
    """Show all kinds of jobs, and what became of their jobs."""
    query = checked(WindowQuery, {name: text for name, text in request.args.items() if name == "window"})
    with ledger().reading() as connection:
        rows = kinds_in(connection, WINDOWS[query.window])
    return show_page("kinds.html", rows=rows, window=query.window, windows=WINDOW_WORDS)


def kind_page(name: str) -> Response:
    """Show what became of the jobs of a kind."""
    kind = find_kind(name)
    return show_page("kind.html", kind=kind, rows=windows_of(kind), windows=WINDOW_WORDS)


def queue_page(name: str) -> Response:
    """Show a queue: how it stands, the kinds of jobs that wait in it, and who takes them."""
    check_queue(name)
    with ledger().reading() as connection:
        sample = newest_samples(connection).get(name)
        rows = kinds_in(connection, WINDOWS["24h"], name)
    return show_page(
        "queue.html",
        name=name,
        sample=sample,
        rows=rows,
        only=[name],
        workers=takers(name),
        window=WINDOW_WORDS["24h"],
    )


def workers_page() -> Response:
    """Show the workers."""
    with ledger().reading() as connection:
        rows = registered(connection)
    return show_page("workers.html", rows=rows)


def worker_page(name: str) -> Response:
    """Show a worker, what it runs and has run."""
    with ledger().reading() as connection:
        found = find_worker(connection, name)
        recent = recent_jobs(connection, found.worker)
    return show_page("worker.html", row=found, recent=recent)


def autoscaler_page() -> Response:
    """Show the autoscaler: whether it runs, its settings, and what it has said."""
    with ledger().reading() as connection:
        row, lines = autoscaler.find(connection), autoscaler.lines(connection)
    return show_page(
        "autoscaler.html",
        row=row,
        lines=lines,
        only=row.queues.split(",") if row else list(QUEUES),
    )


def schedules_page(form: forms.Form | None = None) -> Response:
    """Show the recurring jobs, and a form to add one; with a ``form``, the one that was sent with its errors."""
    name = request.args.get("form", "export")
    return show_page(
        "schedules.html",
        422 if form else 200,
        form=form or forms.blank(forms.SCHEDULE, name if name in JOB_TYPES else "export"),
        job_types=JOB_TYPES,
        rows=[(schedule, _upcoming(schedule)) for schedule in list_schedules()],
        in_words=slots.in_words,
    )


def _upcoming(schedule: Schedule) -> list[float]:
    """Return the next slots of a schedule, as many as the page shows."""
    slot = schedule.next_run_at
    if slot is None:
        return []
    return [slot, *schedules.upcoming(schedule, after=slot, anchor=slot, count=UPCOMING - 1)]


def todos_page(
    status: int = 200, *, new: str = "", error: str = "", changed: int | None = None, text: str = ""
) -> Response:
    """Show the to-dos; with an ``error``, that of a new one or of the one that was to be ``changed``."""
    query = checked(TodosQuery, {name: text for name, text in request.args.items() if name == "cursor" and text})
    todos, after = list_todos(query)
    return show_page(
        "todos.html",
        status,
        rows=todos,
        after=after,
        cursor=query.cursor,
        new=new,
        error=error,
        changed=changed,
        text=text,
        deleted=request.args.get("deleted", type=int),
    )


def audit_page() -> Response:
    """Show who did what."""
    query = checked(AuditQuery, {name: text for name, text in request.args.items() if text})
    rows, after = list_audit(query)
    return show_page("audit.html", rows=rows, after=after, who=query.who, subject=query.subject)


_PAGES: dict[str, Callable[..., Response]] = {
    "home.index": jobs_page,
    "tasks.listing": jobs_page,
    "tasks.show": job_page,
    "kinds.listing": kinds_page,
    "kinds.show": kind_page,
    "queues.listing": queues_page,
    "queues.show": queue_page,
    "workers.listing": workers_page,
    "workers.show": worker_page,
    "autoscaler.show": autoscaler_page,
    "failures.listing": failures_page,
    "schedules.listing": schedules_page,
    "todos.listing": todos_page,
    "audit.listing": audit_page,
}


def show_page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page, with what stands around its content."""
    notice = NOTICES.get(request.args.get("said", ""), "")
    with ledger().reading() as connection:
        around = around_html(connection)
        followed = queries.find(connection, request.args.get("following", ""))
    if followed is not None:
        rest = urlencode([(name, text) for name, text in request.args.items(multi=True) if name not in OF_MOMENT])
        around["following"] = following_html(followed, f"{request.path}?{rest}")
    answer = Response(render(template, notice=notice, **around, **values), status, mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"  # going back loads the page again, so that it shows what is now
    return answer
