"""The kinds of jobs: how many ended and how, and how long they waited and ran."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from jobs.ledger.database import ledger
from jobs.windows import WINDOWS
from webapp.api.openapi import error_responses
from webapp.figures import figures_view, find_kind, kind_view, kinds_in, slots_view, windows_of
from webapp.models.kinds import KindDetail, KindList, WindowQuery

blueprint = APIBlueprint("kinds", __name__, tag="Service")


@blueprint.get("/kinds")
@blueprint.input(WindowQuery, location="query", arg_name="query")
@blueprint.output(KindList)
@blueprint.doc(summary="Kinds of jobs: throughput, failures, waiting and running", responses=error_responses(422, 503))
def listing(query: WindowQuery) -> Response:
    """Return each kind of job with what became of its jobs in a window. The figures are some ten seconds old."""
    with ledger().reading() as connection:
        found = kinds_in(connection, WINDOWS[query.window])
    return jsonify(window=query.window, data=[kind_view(each.kind) | figures_view(each) for each in found])


@blueprint.get("/kinds/<name>")
@blueprint.output(KindDetail)
@blueprint.doc(summary="One kind of job, over an hour, a day and a week", responses=error_responses(404, 503))
def show(name: str) -> Response:
    """Return a kind of job with what became of its jobs in each window. The figures are some ten seconds old."""
    kind = find_kind(name)
    windows = {
        each.history.window.name: figures_view(each) | {"slots": slots_view(each.slots)} for each in windows_of(kind)
    }
    return jsonify(**kind_view(kind), windows=windows)
