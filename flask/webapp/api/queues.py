"""The queues, as the API tells of them."""

import time

from apiflask import APIBlueprint
from flask import Response, jsonify

from jobs.broker.sampler import Sampler
from jobs.catalogue import JOB_TYPES
from jobs.ledger import samples
from jobs.ledger.database import ledger
from webapp.api.openapi import error_responses
from webapp.models.service import HistoryQuery, HistoryView, QueueDetail, QueueState, QueuesView
from webapp.operations import check_queue, pause_queue
from webapp.views import history_view, queue_view
from webapp.workers import takers

blueprint = APIBlueprint("queues", __name__, tag="Service")

#: Seconds that the history goes back by default, with all samples; and otherwise, with those that each mean is of.
HISTORY = 600.0
MEANS = {"1h": (3600.0, 10.0), "24h": (86_400.0, 300.0)}


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
@blueprint.input(HistoryQuery, location="query", arg_name="query")
@blueprint.output(HistoryView)
@blueprint.doc(summary="The queues over the last ten minutes, hour or day", responses=error_responses(422, 503))
def history(query: HistoryQuery) -> Response:
    """Return what the queues looked like, as the beat container saw them about every two seconds.

    For an hour these are means of ten seconds, for a day of five minutes.
    """
    with ledger().reading() as connection:
        if query.window in MEANS:
            seconds, step = MEANS[query.window]
            since = (time.time() - seconds) // step * step
            recorded = samples.means(connection, since, step, of_minutes=query.window == "24h")
        else:
            recorded = samples.since(connection, time.time() - HISTORY)
    return jsonify(data=history_view(recorded))


@blueprint.get("/queues/<name>")
@blueprint.output(QueueDetail)
@blueprint.doc(summary="One queue, its kinds of jobs and its workers", responses=error_responses(404, 503))
def show(name: str) -> Response:
    """Return a queue with the kinds of jobs that wait in it, and the living workers that take them."""
    check_queue(name)
    sampler = Sampler()
    sample = next(sample for sample in sampler.sample() if sample.name == name)
    return jsonify(
        **queue_view(sample),
        rabbitmq=sampler.trouble or "ok",
        kinds=[kind.name for kind in JOB_TYPES.values() if kind.queue == name],
        workers=[worker.name for worker in takers(name)],
    )
