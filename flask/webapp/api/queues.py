"""The queues, as the API tells of them."""

import time

from apiflask import APIBlueprint
from flask import Response, jsonify

from jobs.beat.sampling import known_depths
from jobs.catalogue import QUEUES
from jobs.ledger import queries
from jobs.ledger.database import ledger
from webapp.api.openapi import problems
from webapp.models import HistoryView, QueuesView
from webapp.views import sample_views

blueprint = APIBlueprint("queues", __name__, tag="Service")

#: Seconds that a rate is the mean of.
WINDOW = 60.0
#: Seconds that the history goes back.
HISTORY = 600.0


@blueprint.get("/queues")
@blueprint.output(QueuesView)
@blueprint.doc(summary="Depth, consumers and rates of each queue", responses=problems(503))
def listing() -> Response:
    """Return the queues; while RabbitMQ does not answer, what the ledger knows of them."""
    depths, trouble = known_depths()
    since = time.time() - WINDOW
    with ledger().reading() as connection:
        unfinished = queries.open_counts(connection)
        accepted = queries.accepted_since(connection, since)
        ended = queries.ended_after(connection, since)
    return jsonify(
        data=[
            {
                "name": name,
                "ready": depths[name].ready if name in depths else None,
                "unacknowledged": depths[name].unacknowledged if name in depths else None,
                "consumers": depths[name].consumers if name in depths else None,
                "unfinished": sum(unfinished.get(name, {}).values()),
                "in_rate": accepted.get(name, 0) / WINDOW,
                "out_rate": ended.get(name, 0) / WINDOW,
            }
            for name in QUEUES
        ],
        rabbitmq=trouble or "ok",
    )


@blueprint.get("/queues/history")
@blueprint.output(HistoryView)
@blueprint.doc(summary="The queues over the last ten minutes", responses=problems(503))
def history() -> Response:
    """Return what the queues looked like about every two seconds, as the beat container saw them."""
    with ledger().reading() as connection:
        rows = queries.samples(connection, time.time() - HISTORY)
    return jsonify(data=sample_views(rows))
