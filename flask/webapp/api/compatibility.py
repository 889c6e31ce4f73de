"""The same resources under ``/api``, in the words of a task-queue manager whose clients Warren serves too.

Its states are RUNNING for STARTED and PROGRESS, FAILED for FAILURE and CANCELLED for REVOKED.
"""

from typing import Annotated, Any

from apiflask import APIBlueprint
from flask import Response
from pydantic import BeforeValidator, Field

from jobs.states import State
from webapp.api import health, submission, tasks
from webapp.api.openapi import error_responses
from webapp.models.jobs import JobPage, JobsQuery

blueprint = APIBlueprint("compatibility", __name__, tag="Compatibility")

_WORDS = {"RUNNING": "STARTED,PROGRESS", "FAILED": "FAILURE", "CANCELLED": "REVOKED"}


def _translate(text: Any) -> Any:
    return ",".join(_WORDS.get(word, word) for word in text.split(",")).split(",") if isinstance(text, str) else text


class CompatibleQuery(JobsQuery):
    """Query of the list of jobs, with the other words as well."""

    status: Annotated[list[State], BeforeValidator(_translate)] | None = Field(
        None, description="Only jobs in these states; RUNNING, FAILED and CANCELLED are understood too."
    )


@blueprint.get("/api/tasks/")
@blueprint.input(CompatibleQuery, location="query")
@blueprint.output(JobPage)
@blueprint.doc(summary="List jobs, newest first", responses=error_responses(422, 503))
def listing(query_data: CompatibleQuery) -> Response:
    """List jobs, newest first."""
    return tasks.page_answer(query_data)


# The same views under other paths, with all that is said of them.
blueprint.post("/api/tasks/submit")(submission.any_kind)
blueprint.get("/api/tasks/<task_id>")(tasks.show)
blueprint.delete("/api/tasks/<task_id>")(tasks.cancel)
blueprint.post("/api/tasks/<task_id>/retry")(tasks.retry)
blueprint.get("/api/health")(health.background)
