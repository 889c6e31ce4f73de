"""taskiq behind FastAPI, as taskiq's documentation has it: RabbitMQ for the messages, Redis for the results."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import RedisAsyncResultBackend

results = RedisAsyncResultBackend("redis://redis:6379")
broker = AioPikaBroker("amqp://guest:guest@rabbitmq:5672").with_result_backend(results)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect to the broker when the web server starts."""
    await broker.startup()
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)


class Numbers(BaseModel):
    """The parameters of a job."""

    a: float
    b: float


@broker.task
async def add(a: float, b: float) -> float:
    """Return a + b."""
    return a + b


@app.post("/flask/add", status_code=202)
async def submit(numbers: Numbers) -> dict[str, Any]:
    """Send a job; the JSON body is its parameters."""
    task = await add.kiq(numbers.a, numbers.b)
    return {"task_id": task.task_id}


@app.get("/flask/status")
async def status(task_id: str) -> dict[str, Any]:
    """Tell how a job goes."""
    if not await results.is_result_ready(task_id):
        return {"task_id": task_id, "status": "PENDING", "result": None}
    return {"task_id": task_id, "status": "SUCCESS", "result": (await results.get_result(task_id)).return_value}
