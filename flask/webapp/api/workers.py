"""The workers, as the API tells of them."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from jobs.ledger.database import ledger
from webapp.api.openapi import error_responses
from webapp.models.workers import WorkerDetail, WorkerList, WorkerState
from webapp.workers import drain_worker, find_worker, registered, worker_detail, worker_view

blueprint = APIBlueprint("workers", __name__, tag="Service")


@blueprint.get("/workers")
@blueprint.output(WorkerList)
@blueprint.doc(summary="The workers: since when, memory, how many jobs they run", responses=error_responses(503))
def listing() -> Response:
    """Return the workers that are registered, by name. One that has died is among them for some seconds."""
    with ledger().reading() as connection:
        return jsonify(data=[worker_view(found) for found in registered(connection)])


@blueprint.get("/workers/<name>")
@blueprint.output(WorkerDetail)
@blueprint.doc(summary="One worker, what it runs and has run", responses=error_responses(404, 503))
def show(name: str) -> Response:
    """Return a worker with the jobs that it runs, and those that ended in it last: 20 at most."""
    with ledger().reading() as connection:
        return jsonify(worker_detail(connection, find_worker(connection, name)))


@blueprint.post("/workers/<name>/drain")
@blueprint.output(WorkerState)
@blueprint.doc(summary="Let a worker take no more jobs", responses=error_responses(404, 503))
def drain(name: str) -> Response:
    """Let a worker take no more jobs. What it runs goes on. It takes jobs again when its container is restarted."""
    drain_worker(name)
    return jsonify(name=name, queues=[])
