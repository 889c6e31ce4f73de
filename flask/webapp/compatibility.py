"""The same resources under ``/api``, in the words of a task-queue manager whose clients Warren serves too.

Its states are RUNNING for STARTED and PROGRESS, FAILED for FAILURE and CANCELLED for REVOKED.
"""

from typing import Annotated, Any

from apiflask import APIBlueprint
from flask import Response
from pydantic import BeforeValidator, Field

from webapp import health, jobs, submission
from webapp.documentation import problems
from webapp.models import (
    Accepted,
    BackgroundView,
    IdempotencyHeader,
    JobPage,
    JobsQuery,
    JobView,
    State,
    Submission,
)

blueprint = APIBlueprint("compatibility", __name__, tag="Compatibility")

_WORDS = {"RUNNING": "STARTED,PROGRESS", "FAILED": "FAILURE", "CANCELLED": "REVOKED"}


def _translate(text: Any) -> Any:
    return ",".join(_WORDS.get(word, word) for word in text.split(",")).split(",") if isinstance(text, str) else text


class CompatibleQuery(JobsQuery):
    """Query of the list of jobs, with the other words as well."""

    status: Annotated[list[State], BeforeValidator(_translate)] | None = Field(
        None, description="Only jobs in these states; RUNNING, FAILED and CANCELLED are understood too."
    )


@blueprint.post("/api/tasks/submit")
@blueprint.input(IdempotencyHeader, location="headers")
@blueprint.input(Submission)
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Submit a job", responses=problems(400, 413, 422, 503))
def submit(json_data: Any, headers_data: IdempotencyHeader) -> Response:
    """Submit a job."""
    return submission.accept_any(json_data, headers_data)


@blueprint.get("/api/tasks/")
@blueprint.input(CompatibleQuery, location="query")
@blueprint.output(JobPage)
@blueprint.doc(summary="List jobs, newest first", responses=problems(422, 503))
def listing(query_data: CompatibleQuery) -> Response:
    """List jobs, newest first."""
    return jobs.page(query_data)


@blueprint.get("/api/tasks/<task_id>")
@blueprint.output(JobView)
@blueprint.doc(summary="Everything known about a job", responses=problems(404, 503))
def show(task_id: str) -> Response:
    """Return everything known about a job."""
    return jobs.show(task_id)


@blueprint.delete("/api/tasks/<task_id>")
@blueprint.output(JobView)
@blueprint.doc(summary="Cancel a job", responses=problems(404, 409, 503))
def cancel(task_id: str) -> Response:
    """Cancel a job."""
    return jobs.cancel(task_id)


@blueprint.post("/api/tasks/<task_id>/retry")
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Run a failed or cancelled job again, as a new one", responses=problems(404, 409, 503))
def retry(task_id: str) -> Response:
    """Submit a failed or cancelled job again."""
    return jobs.retry(task_id)


@blueprint.get("/api/health")
@blueprint.output(BackgroundView)
@blueprint.doc(
    summary="Broker, ledger and workers: each ok, or why not",
    responses=health.UNWELL,
)
def background() -> Response:
    """Say of broker, ledger and workers whether each is well."""
    return health.background()
