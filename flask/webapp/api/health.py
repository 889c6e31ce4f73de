"""Is it well? The web itself, and what works behind it."""

from datetime import UTC, datetime
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from jobs.broker.depths import BrokerUnavailable, machines, queue_depths
from jobs.ledger import workers
from jobs.ledger.database import LedgerFileChanged, ledger
from jobs.settings import settings
from webapp.models.service import BackgroundView, HealthView

#: The answer 503 of the background check: the same object as when all is well.
UNWELL: dict[int | str, Any] = {
    503: {
        "description": "One of them is not well.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BackgroundView"}}},
    }
}

blueprint = APIBlueprint("health", __name__, tag="Service")


@blueprint.get("/healthz")
@blueprint.output(HealthView)
@blueprint.doc(summary="The web answers")
def web() -> Response:
    """Say that the web answers; what the container's healthcheck asks."""
    return jsonify(status="healthy", timestamp=datetime.now(UTC).isoformat())


@blueprint.get("/healthz/background")
@blueprint.output(BackgroundView)
@blueprint.doc(
    summary="Broker, ledger and workers: each ok, or why not",
    responses=UNWELL,
)
def background() -> Response:
    """Say of broker, ledger and workers whether each is well, or why not; 503 if any of them is not."""
    rabbitmq = ledger_state = "ok"
    living = 0
    three: dict[str, bool] = {}
    try:
        queue_depths()
        three = machines()
    except BrokerUnavailable as error:
        rabbitmq = str(error)
    try:
        with ledger().reading() as connection:
            living = len(workers.living(connection, settings().worker_lease))
    except LedgerFileChanged as error:
        ledger_state = str(error)
    except SQLAlchemyError as error:
        ledger_state = f"cannot be read: {getattr(error, 'orig', error)}"
    well = rabbitmq == "ok" and ledger_state == "ok" and living > 0
    places = {"machines": {number: "ok" if there else "gone" for number, there in three.items()}} if three else {}
    answer = jsonify(rabbitmq=rabbitmq, ledger=ledger_state, workers=living, **places)
    answer.status_code = 200 if well else 503
    return answer
