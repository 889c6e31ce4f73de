"""RQ behind Flask, as RQ's documentation has it: a Redis, a queue, a function."""

from typing import Any

from arithmetic import add
from flask import Flask, request
from redis import Redis
from rq import Queue
from rq.job import Job

app = Flask(__name__)
redis = Redis(host="redis")
queue = Queue(connection=redis)


@app.post("/flask/add")
def submit() -> tuple[dict[str, Any], int]:
    """Send a job; the JSON body is its parameters."""
    return {"task_id": queue.enqueue(add, **request.get_json()).id}, 202


@app.get("/flask/status")
def status() -> dict[str, Any]:
    """Tell how a job goes. One that a lost Redis has forgotten counts as waiting."""
    task_id = request.args["task_id"]
    job = Job.fetch(task_id, connection=redis) if Job.exists(task_id, connection=redis) else None
    done = job is not None and job.is_finished
    return {
        "task_id": task_id,
        "status": "SUCCESS" if done else "PENDING",
        "result": job.return_value() if job and done else None,
    }
