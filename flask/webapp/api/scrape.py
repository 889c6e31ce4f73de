"""What Prometheus is told: by any of the processes, of all of them, and of the ledger."""

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from jobs.ledger.collector import LedgerCollector
from jobs.ledger.database import ledger

#: Not below ``/flask``, so Nginx does not pass it on: it is for the inner network only.
blueprint = APIBlueprint("scrape", __name__, enable_openapi=False)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return all figures in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(LedgerCollector(ledger()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
