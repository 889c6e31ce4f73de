"""Dramatiq behind Flask, as Dramatiq's documentation has it: RabbitMQ for the messages, Redis for the results."""

from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends import RedisBackend
from flask import Flask, request

results = RedisBackend(host="redis")
broker = RabbitmqBroker(url="amqp://guest:guest@rabbitmq:5672")
broker.add_middleware(Results(backend=results))
dramatiq.set_broker(broker)
app = Flask(__name__)


@dramatiq.actor(store_results=True)
def add(a: float, b: float) -> float:
    """Return a + b."""
    return a + b


@app.post("/flask/add")
def submit() -> tuple[dict[str, Any], int]:
    """Send a job; the JSON body is its parameters."""
    return {"task_id": add.send(**request.get_json()).message_id}, 202


@app.get("/flask/status")
def status() -> dict[str, Any]:
    """Tell how a job goes."""
    task_id = request.args["task_id"]
    try:
        result = add.message().copy(message_id=task_id).get_result(backend=results)
    except ResultMissing:
        return {"task_id": task_id, "status": "PENDING", "result": None}
    return {"task_id": task_id, "status": "SUCCESS", "result": result}
