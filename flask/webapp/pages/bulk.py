"""Many jobs at once: chosen in the list, counted, confirmed, and undone as long as that is possible.

A job does it, see :mod:`jobs.ledger.bulk`. It begins a few seconds later: to undo it is to withdraw that job, and there
is nothing that is done only in part.
"""

from datetime import UTC, datetime, timedelta

from apiflask import APIBlueprint
from flask import Response, request

from jobs.catalogue import JOB_TYPES, CancelFilter, RetryFilter
from jobs.ledger import bulk
from jobs.ledger.database import ledger
from webapp import operations
from webapp.intake import intake, new_job
from webapp.pages.asked import ListQuery, address, asked_for, list_query, possible, question_of
from webapp.pages.pages import show_page
from webapp.problems import Problem, checked, field_problem
from webapp.views import timestamp

blueprint = APIBlueprint("bulk", __name__, enable_openapi=False)

#: For so long it can be undone.
UNDO_FOR = timedelta(seconds=10)

#: What can be done, and which jobs it can be done to.
FILTERS: dict[str, type[CancelFilter | RetryFilter]] = {"cancel": CancelFilter, "retry": RetryFilter}


@blueprint.post("/ui/jobs/<any(cancel, retry):action>")
def choose(action: str) -> Response:
    """Say how many jobs it is about, and ask."""
    query = list_query()
    if "all" not in request.form and not request.form.getlist("task_id"):
        return Response(status=303, headers={"Location": address(asked_for(query), said="none")})
    now = datetime.now(UTC)
    with ledger().reading() as connection:
        jobs = bulk.count(connection, _chosen(action, query, now))
    if jobs is None:
        raise Problem(
            422, f"There are too many jobs to look for {query.q!r} in all of them. Add a time such as since:1h."
        )
    return show_page(
        "confirm.html",
        action=action,
        jobs=jobs,
        ids=request.form.getlist("task_id") if "all" not in request.form else [],
        before=now.isoformat(),
        asked=asked_for(query),
        address=address,
    )


@blueprint.post("/ui/jobs/<any(cancel, retry):action>/confirmed")
def confirmed(action: str) -> Response:
    """Have it done, a few seconds from now."""
    query = list_query()
    chosen = _chosen(action, query, _counted_at())
    new = new_job(JOB_TYPES[f"{action}_jobs"], chosen, run_at=datetime.now(UTC) + UNDO_FOR)
    return Response(status=303, headers={"Location": address(asked_for(query), following=intake().accept(new))})


@blueprint.post("/ui/jobs/<task_id>/undo")
def undo(task_id: str) -> Response:
    """Take back what has not begun."""
    operations.withdraw_job(task_id)
    return Response(status=303, headers={"Location": address(asked_for(list_query()), said="undone")})


def _chosen(action: str, query: ListQuery, before: datetime) -> CancelFilter | RetryFilter:
    """Return the jobs that are meant: those that were selected, or all of the list that were there before."""
    ids = request.form.getlist("task_id")
    if "all" not in request.form:
        return checked(FILTERS[action], {"task_ids": ids})
    states = possible(query).get(action)
    if not states:
        raise Problem(422, f"There is nothing to {action} in this list.")
    question = question_of(query)
    until = before.timestamp() if question.until is None else min(before.timestamp(), question.until)
    wanted = {
        "status": states,
        "task_type": query.task_type,
        "q": query.q,
        "created_from": timestamp(question.since),
        "created_to": timestamp(until),
        **({"scheduled": question.scheduled} if action == "cancel" else {"failure": query.failure}),
    }
    return checked(FILTERS[action], {name: value for name, value in wanted.items() if value is not None})


def _counted_at() -> datetime:
    """Return when the jobs were counted that are confirmed now. Raises a 422 problem."""
    try:
        return datetime.fromisoformat(request.form.get("before", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise field_problem(422, "before", "not the time that the question had") from None
