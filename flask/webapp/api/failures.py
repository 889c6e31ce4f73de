"""Failures: jobs that failed alike, as one group."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from webapp.api.openapi import error_responses
from webapp.api.submission import accepted_answer
from webapp.models.failures import FailureList
from webapp.models.submissions import Accepted
from webapp.operations import delete_failures, list_failures
from webapp.views import failure_view

blueprint = APIBlueprint("failures", __name__, tag="Jobs")


@blueprint.get("/failures")
@blueprint.output(FailureList)
@blueprint.doc(summary="Failed jobs in groups of those that failed alike", responses=error_responses(503))
def listing() -> Response:
    """Return the groups in which a job has failed last, the latest first, at most 100."""
    return jsonify(data=[failure_view(group) for group in list_failures()])


@blueprint.delete("/failures/<key>")
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Delete the failed jobs of a group, for good", responses=error_responses(404, 503))
def delete(key: str) -> Response:
    """Delete the jobs of a group that have failed until now: a job of its own does it, and tells how far it is."""
    return accepted_answer(delete_failures(key))
