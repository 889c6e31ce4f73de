"""Huey behind Flask, as Huey's documentation has it: one SQLite file for jobs and results, no other server."""

from typing import Any

from flask import Flask, request
from huey import SqliteHuey

huey = SqliteHuey(filename="/db/huey.db")
app = Flask(__name__)


@huey.task()
def add(a: float, b: float) -> float:
    """Return a + b."""
    return a + b


@app.post("/flask/add")
def submit() -> tuple[dict[str, Any], int]:
    """Send a job; the JSON body is its parameters."""
    return {"task_id": add(**request.get_json()).id}, 202


@app.get("/flask/status")
def status() -> dict[str, Any]:
    """Tell how a job goes. The result stays (`preserve`), as it does everywhere else."""
    task_id = request.args["task_id"]
    result = huey.result(task_id, preserve=True)
    return {"task_id": task_id, "status": "PENDING" if result is None else "SUCCESS", "result": result}
