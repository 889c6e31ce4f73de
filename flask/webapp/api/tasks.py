"""The jobs themselves: look, list, cancel, run again."""

from collections.abc import Sequence
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify
from sqlalchemy import Row

from jobs import states
from jobs.ledger import moves, queries
from jobs.ledger.database import ledger
from jobs.ledger.records import NewJob
from webapp.api.openapi import problems
from webapp.api.submission import accepted
from webapp.intake import intake
from webapp.models import Accepted, JobDetail, JobPage, JobsQuery, JobView, ResultView, StatusQuery, StatusView
from webapp.problems import Problem, field_problem
from webapp.views import attempt_view, cursor, from_cursor, job_view, outcome

blueprint = APIBlueprint("tasks", __name__, tag="Jobs")

#: States of jobs that can be run again.
RETRYABLE = (states.FAILURE, states.REVOKED)


def find(task_id: str) -> Any:
    """Return the row of a job. Raises a 404 problem for an id that the ledger does not know."""
    with ledger().reading() as connection:
        row = queries.find(connection, task_id)
    if row is None:
        raise Problem(404, f"There is no job with the id {task_id!r}.")
    return row


def cancelled(task_id: str) -> Any:
    """Cancel a job and return its row. Raises a 404 or 409 problem."""
    was = intake().write(lambda connection: moves.cancel(connection, task_id))
    row = find(task_id)
    if was is None:
        raise Problem(409, f"The job has ended already: {row.state}.", state=row.state)
    return row


def run_again(task_id: str) -> str | None:
    """Submit a failed or cancelled job again, and return the id of the new one. Raises a 404, 409 or 503 problem."""
    row = find(task_id)
    if row.state not in RETRYABLE:
        raise Problem(409, f"Only a FAILURE or REVOKED job can be retried; this one is {row.state}.", state=row.state)
    return intake().accept(NewJob(type=row.type, queue=row.queue, params=row.params))


def find_page(query: JobsQuery, id_prefix: str | None = None) -> tuple[Sequence[Row[Any]], str | None]:
    """Return a page of jobs, newest first, and the cursor of the next one."""
    with ledger().reading() as connection:
        rows = queries.page(
            connection,
            limit=query.limit + 1,  # one more tells whether there is a next page
            before=from_cursor(query.cursor) if query.cursor is not None else None,
            in_states=query.status,
            of_type=query.task_type,
            id_prefix=id_prefix,
        )
    shown = rows[: query.limit]
    return shown, cursor(shown[-1].seq) if len(rows) > query.limit else None


def page(query: JobsQuery) -> Response:
    """Answer with a page of jobs."""
    rows, after = find_page(query)
    return jsonify(data=[job_view(row) for row in rows], next=after)


@blueprint.get("/tasks")
@blueprint.input(JobsQuery, location="query")
@blueprint.output(JobPage)
@blueprint.doc(summary="List jobs, newest first", responses=problems(422, 503))
def listing(query_data: JobsQuery) -> Response:
    """List jobs, newest first."""
    return page(query_data)


@blueprint.get("/tasks/<task_id>")
@blueprint.output(JobDetail)
@blueprint.doc(summary="Everything known about a job", responses=problems(404, 503))
def show(task_id: str) -> Response:
    """Return everything known about a job."""
    row = find(task_id)
    with ledger().reading() as connection:
        attempts = queries.past_attempts(connection, task_id)
    return jsonify(**job_view(row), past_attempts=[attempt_view(attempt) for attempt in attempts])


@blueprint.get("/status")
@blueprint.input(StatusQuery, location="query")
@blueprint.output(StatusView)
@blueprint.doc(summary="How a job stands", responses=problems(400, 404, 503))
def status(query_data: StatusQuery) -> Response:
    """Return id, status and result of a job."""
    if not query_data.task_id:
        raise field_problem(400, "task_id", "is missing: /flask/status?task_id=...")
    row = find(query_data.task_id)
    return jsonify(task_id=row.id, status=row.state, result=outcome(row))


@blueprint.get("/result/<task_id>")
@blueprint.output(ResultView)
@blueprint.doc(summary="What a job came to", responses=problems(404, 503))
def result(task_id: str) -> Response:
    """Return status and result of a job."""
    row = find(task_id)
    return jsonify(status=row.state, result=outcome(row))


@blueprint.delete("/tasks/<task_id>")
@blueprint.output(JobView)
@blueprint.doc(summary="Cancel a job", responses=problems(404, 409, 503))
def cancel(task_id: str) -> Response:
    """Cancel a job: a waiting one never starts, a running one is stopped within about a second."""
    return jsonify(job_view(cancelled(task_id)))


@blueprint.post("/tasks/<task_id>/retry")
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Run a failed or cancelled job again, as a new one", responses=problems(404, 409, 503))
def retry(task_id: str) -> Response:
    """Submit a failed or cancelled job again, as a new one."""
    return accepted(run_again(task_id))
