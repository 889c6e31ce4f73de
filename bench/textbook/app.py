"""The textbook: Flask hands jobs to Celery, Celery keeps results in SQLite, and everything else is left at its default.

This is what most tutorials arrive at, and what Warren is compared with. Read it beside ../../jobs and ../../celery.
"""

import os
import smtplib
import time
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.backends.database.models import Task
from flask import Flask, request

celery = Celery("textbook", broker="amqp://guest:guest@rabbitmq:5672//", backend="db+sqlite:////db/results.db")
#: The fastest that Celery can be is without results: nobody can ask what became of a job.
celery.conf.task_ignore_result = "IGNORE_RESULT" in os.environ
app = Flask(__name__)


@celery.task(name="heavy")
def heavy(seconds: float = 1) -> str:
    """Sleep for so many seconds."""
    time.sleep(seconds)
    return f"This task took {seconds:g} seconds."


@celery.task(name="add")
def add(a: float, b: float) -> float:
    """Return a + b."""
    return a + b


@celery.task(name="divide")
def divide(a: float, b: float) -> float:
    """Return a / b, after about as long as Warren takes for it."""
    time.sleep(1)
    return a / b


@celery.task(name="text")
def text(text: str, repeat: int = 1) -> str:
    """Return the text in capitals, several times."""
    return " ".join([text.upper()] * repeat)


@celery.task(name="email_sending", bind=True)
def email_sending(task: Any, num_emails: int = 5, subject: str = "Hello", delay: float = 0.5) -> dict[str, int]:
    """Send the mails to SMTP_URL."""
    server = urlsplit(os.environ["SMTP_URL"])
    for number in range(1, num_emails + 1):
        mail = EmailMessage()
        mail["From"] = "textbook@example.com"
        mail["To"] = f"user{number}@example.com"
        mail["Subject"] = subject
        mail["Message-ID"] = f"<{task.request.id}.{number}@textbook.example.com>"
        with smtplib.SMTP(server.hostname or "", server.port or 25) as connection:
            connection.send_message(mail)
        if number < num_emails:
            time.sleep(delay)
    return {"sent": num_emails}


@app.post("/flask/<kind>")
def submit(kind: str) -> tuple[dict[str, Any], int]:
    """Send a job of any kind; the JSON body is its parameters."""
    task = celery.tasks[kind].delay(**request.get_json())
    return {"task_id": task.id}, 202


@app.get("/flask/healthz")
def healthz() -> dict[str, str]:
    """Do nothing: what a request costs without a job."""
    return {"status": "ok"}


@app.get("/flask/status")
def status() -> dict[str, Any]:
    """Tell how a job goes."""
    task = celery.AsyncResult(request.args["task_id"])
    return {
        "task_id": task.id,
        "status": task.status,
        "result": task.result if task.successful() else str(task.result),
    }


@app.get("/flask/tasks")
def tasks() -> list[dict[str, Any]]:
    """List all jobs; Celery has no list of its own, so each is asked for."""
    with celery.backend.ResultSession() as session:
        task_ids = [row.task_id for row in session.query(Task.task_id)]
    return [{"task_id": task_id, "status": celery.AsyncResult(task_id).status} for task_id in task_ids]
