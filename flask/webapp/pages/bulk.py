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
from webapp.pages.asked import ListQuery, address, asked_for, can_be_whole, list_query, possible
from webapp.pages.pages import show_page
from webapp.problems import Problem, checked

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
    chosen = _chosen(action, query, request.form.get("before", ""))
    new = new_job(JOB_TYPES[f"{action}_jobs"], chosen, run_at=datetime.now(UTC) + UNDO_FOR)
    return Response(status=303, headers={"Location": address(asked_for(query), following=intake().accept(new))})


@blueprint.post("/ui/jobs/<task_id>/undo")
def undo(task_id: str) -> Response:
    """Take back what has not begun."""
    operations.withdraw_job(task_id)
    return Response(status=303, headers={"Location": address(asked_for(list_query()), said="undone")})


def _chosen(action: str, query: ListQuery, before: datetime | str) -> CancelFilter | RetryFilter:
    """Return the jobs that are meant: those that were selected, or all of the list that were there before."""
    ids = request.form.getlist("task_id")
    if "all" not in request.form:
        return checked(FILTERS[action], {"task_ids": ids})
    if not can_be_whole(query):
        raise Problem(422, "Of jobs that were found by words, select those that you mean.")
    states = possible(query).get(action)
    if not states:
        raise Problem(422, f"There is nothing to {action} in this list.")
    wanted = {
        "status": states,
        "task_type": query.task_type,
        "created_to": before if isinstance(before, str) else before.isoformat(),
        **({"scheduled": query.scheduled} if action == "cancel" else {"failure": query.failure}),
    }
    return checked(FILTERS[action], {name: value for name, value in wanted.items() if value is not None})
