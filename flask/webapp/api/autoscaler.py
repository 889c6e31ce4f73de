"""The autoscaler, as the API tells of it."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from jobs.ledger import autoscaler
from jobs.ledger.database import ledger
from webapp.api.openapi import error_responses
from webapp.models.workers import AutoscalerView
from webapp.views import autoscaler_view

blueprint = APIBlueprint("autoscaler", __name__, tag="Service")


@blueprint.get("/autoscaler")
@blueprint.output(AutoscalerView)
@blueprint.doc(summary="The autoscaler: whether it runs, its settings, what it said", responses=error_responses(503))
def show() -> Response:
    """Return how the autoscaler stands, as the ledger knows it; if it was never started, without settings and times."""
    with ledger().reading() as connection:
        return jsonify(autoscaler_view(autoscaler.find(connection), autoscaler.lines(connection)))
