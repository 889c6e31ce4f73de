"""The pages for people, at the addresses that give programs JSON."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import ConfigDict

from jobs import slots
from jobs.catalogue import JOB_TYPES, QUEUES
from jobs.ledger import audit, failures, queries, schedules
from jobs.ledger.database import ledger
from jobs.ledger.records import Schedule
from jobs.question import Unreadable, read
from webapp.models import AuditQuery, JobsQuery, TodosQuery
from webapp.negotiation import wants_html
from webapp.operations import (
    JobsPage,
    belongings_of,
    find_job,
    list_audit,
    list_failures,
    list_jobs,
    list_schedules,
    list_todos,
)
from webapp.pages import forms, story
from webapp.pages.fragments import around_html, panel_html, rows_html
from webapp.pages.tabs import TABS, tally
from webapp.paging import cursor_before
from webapp.problems import checked
from webapp.rendering import render

blueprint = APIBlueprint("pages", __name__, enable_openapi=False)

#: Slots of a schedule that its page shows.
UPCOMING = 5

#: What a page says after a form was posted; the address has only the word.
NOTICES = {
    "accepted": "Accepted: the job is on disk.",
    "cancelled": "Cancelled.",
    "retried": "Accepted again, as a new job.",
    "paused": "Paused: jobs of this queue wait. What runs goes on.",
    "resumed": "Resumed.",
    "changed": "Changed.",
    "added": "Added.",
    "saved": "Saved.",
    "deleted": "Deleted.",
}


class ListQuery(JobsQuery):
    """Query of the page of jobs: that of the API, and what else is in the address."""

    model_config = ConfigDict(extra="ignore")


@blueprint.before_app_request
def page_for_browsers() -> Response | None:
    """Answer a browser with a page where there is one; everything else goes its way."""
    if request.method not in ("GET", "HEAD") or request.endpoint not in _PAGES or not wants_html():
        return None
    return _PAGES[request.endpoint](**(request.view_args or {}))


def jobs_page(form: forms.Form | None = None) -> Response:
    """Show the jobs, and a form to submit one; with a ``form``, the one that was sent with its errors."""
    given = {name: text for name, text in request.args.items() if text.strip()}
    words = given.get("q", "")
    unreadable = _unreadable(words)
    query = checked(ListQuery, given | {"q": words if words and not unreadable else None})
    name = request.args.get("form", "heavy")
    found = list_jobs(query) if not unreadable else JobsPage([])
    asked = asked_for(query)
    with ledger().reading() as connection:
        counts = tally.counts(connection)
        group = failures.find(connection, query.failure) if query.failure else None
    return _page(
        "jobs.html",
        422 if form or unreadable else 200,
        form=form or forms.blank(forms.SUBMIT, name if name in JOB_TYPES else "heavy"),
        opened=form is not None or "form" in request.args,
        job_types=JOB_TYPES,
        tabs=TABS,
        counts=counts,
        query=query,
        words=words,
        unreadable=unreadable,
        back_to=found.back_to,
        group=group,
        asked=asked,
        address=partial(address, asked),
        rows=rows_html(found.jobs),
        older=found.older,
        newer=cursor_before(found.jobs[0].seq) if found.jobs else None,
        has_newer=found.newer is not None,
        end=found.jobs[-1].seq if found.jobs and found.older else None,
    )


def asked_for(query: ListQuery) -> dict[str, str]:
    """Return what a list of jobs is asked for, as its links have it, without its place in the list."""
    given = query.model_dump(mode="json", exclude={"cursor"}, exclude_defaults=True)
    return {name: text for name, value in given.items() if (text := _as_text(value))}


def _as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)


def address(asked: Mapping[str, str], **changes: str | None) -> str:
    """Return the address of a list of jobs that is asked for the same, with some changes."""
    return "/flask?" + urlencode({name: text for name, text in {**asked, **changes}.items() if text})


def _unreadable(words: str) -> str:
    """Return what is wrong with the words of a search, or nothing."""
    try:
        read(words)
    except Unreadable as error:
        return str(error)
    return ""


def queues_page() -> Response:
    """Show the queues and the workers."""
    with ledger().reading() as connection:
        panel = panel_html(connection)
    return _page("queues.html", panel=panel, queue_names=list(QUEUES))


def job_page(task_id: str) -> Response:
    """Show everything about a job."""
    job = find_job(task_id)
    with ledger().reading() as connection:
        more = belongings_of(connection, job)
        # What a job repeats may be gone: it is the older of the two.
        repeats = queries.find(connection, job.retry_of) if job.retry_of else None
        done_by = [
            entry
            for _, entry in audit.page(connection, limit=20, subject=task_id)
            if entry.action in ("cancel", "retry") and entry.outcome == "done"
        ]
    moments = story.told(job, more.past)
    return _page(
        "job.html",
        row=job,
        moments=moments,
        bar=story.bar(moments),
        traceback=more.traceback,
        repeats=repeats,
        retried_as=more.retried_as,
        done_by=done_by,
        address=request.host_url,
    )


def failures_page() -> Response:
    """Show the groups of failures."""
    return _page("failures.html", rows=list_failures())


def schedules_page(form: forms.Form | None = None) -> Response:
    """Show the recurring jobs, and a form to add one; with a ``form``, the one that was sent with its errors."""
    name = request.args.get("form", "export")
    return _page(
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
    return _page(
        "todos.html",
        status,
        rows=todos,
        after=after,
        cursor=query.cursor,
        new=new,
        error=error,
        changed=changed,
        text=text,
    )


def audit_page() -> Response:
    """Show who did what."""
    query = checked(AuditQuery, {name: text for name, text in request.args.items() if text})
    rows, after = list_audit(query)
    return _page("audit.html", rows=rows, after=after, who=query.who, subject=query.subject)


_PAGES: dict[str, Callable[..., Response]] = {
    "home.index": jobs_page,
    "tasks.listing": jobs_page,
    "tasks.show": job_page,
    "queues.listing": queues_page,
    "failures.listing": failures_page,
    "schedules.listing": schedules_page,
    "todos.listing": todos_page,
    "audit.listing": audit_page,
}


def _page(template: str, status: int = 200, **values: Any) -> Response:
    notice = NOTICES.get(request.args.get("said", ""), "")
    with ledger().reading() as connection:
        around = around_html(connection)
    answer = Response(render(template, notice=notice, **around, **values), status, mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"  # going back loads the page again, so that it shows what is now
    return answer
