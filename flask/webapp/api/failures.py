"""Failures: jobs that failed alike, as one group."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from webapp.api.openapi import error_responses
from webapp.models import FailureList
from webapp.operations import list_failures
from webapp.views import failure_view

blueprint = APIBlueprint("failures", __name__, tag="Jobs")


@blueprint.get("/failures")
@blueprint.output(FailureList)
@blueprint.doc(summary="Failed jobs in groups of those that failed alike", responses=error_responses(503))
def listing() -> Response:
    """Return the groups in which a job has failed last, the latest first, at most 100."""
    return jsonify(data=[failure_view(group) for group in list_failures()])
