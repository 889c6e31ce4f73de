"""The queues, as the API tells of them."""

import time

from apiflask import APIBlueprint
from flask import Response, jsonify

from jobs.broker.sampler import Sampler
from jobs.ledger import samples
from jobs.ledger.database import ledger
from webapp.api.openapi import error_responses
from webapp.models.service import HistoryView, QueueState, QueuesView
from webapp.operations import pause_queue
from webapp.views import history_view, queue_view

blueprint = APIBlueprint("queues", __name__, tag="Service")

#: Seconds that the history goes back.
HISTORY = 600.0


@blueprint.get("/queues")
@blueprint.output(QueuesView)
@blueprint.doc(summary="Depth, consumers and rates of each queue", responses=error_responses(503))
def listing() -> Response:
    """Return the queues; while RabbitMQ does not answer, what the ledger knows of them."""
    sampler = Sampler()
    return jsonify(data=[queue_view(sample) for sample in sampler.sample()], rabbitmq=sampler.trouble or "ok")


@blueprint.post("/queues/<name>/pause")
@blueprint.output(QueueState)
@blueprint.doc(summary="Start no more jobs of a queue", responses=error_responses(404, 503))
def pause(name: str) -> Response:
    """Start no more jobs of a queue. What runs goes on, and jobs are still accepted."""
    pause_queue(name, True)
    return jsonify(name=name, paused=True)


@blueprint.post("/queues/<name>/resume")
@blueprint.output(QueueState)
@blueprint.doc(summary="Start the jobs of a queue again", responses=error_responses(404, 503))
def resume(name: str) -> Response:
    """Start the jobs of a queue again."""
    pause_queue(name, False)
    return jsonify(name=name, paused=False)


@blueprint.get("/queues/history")
@blueprint.output(HistoryView)
@blueprint.doc(summary="The queues over the last ten minutes", responses=error_responses(503))
def history() -> Response:
    """Return what the queues looked like about every two seconds, as the beat container saw them."""
    with ledger().reading() as connection:
        recorded = samples.since(connection, time.time() - HISTORY)
    return jsonify(data=history_view(recorded))
