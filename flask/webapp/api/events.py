"""Changes of jobs, as JSON in Server-Sent Events.

Each event is a whole job as ``GET /tasks/ID`` shows it, so that it does no harm when one comes twice. Its id is a time.
A client that connects again sends the last id, and is told what has changed since.
"""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, json
from sqlalchemy import Connection

from jobs.ledger import queries
from jobs.ledger.records import Job
from webapp.api.openapi import error_responses
from webapp.operations import find_job
from webapp.streaming.answer import open_stream
from webapp.streaming.feed import Change, changed_since
from webapp.streaming.payload import event
from webapp.views import job_view

blueprint = APIBlueprint("events", __name__, tag="Jobs")

_STREAM: dict[int | str, Any] = {
    200: {"description": "A stream of events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


class AllJobs:
    """The channel of every job."""

    def opening(self, connection: Connection, last_event: float | None) -> bytes:
        """Return the jobs that have changed since the last event; nothing without one."""
        return self.news(connection, changed_since(connection, last_event)) if last_event is not None else b""

    def news(self, _connection: Connection, change: Change) -> bytes:
        """Return an event for each changed job, or one event ``reset`` when there are too many."""
        if change is None:
            return event("reset", "{}")
        return b"".join(_job_event(job) for job in change)

    def ended(self) -> bool:
        """Return ``False``: there can always be another job."""
        return False


class OneJob:
    """The channel of one job, to its end."""

    def __init__(self, task_id: str) -> None:
        self._id = task_id
        self._ended = False

    def opening(self, connection: Connection, _last_event: float | None) -> bytes:
        """Return the job as it is now."""
        job = queries.find(connection, self._id)
        self._ended = job is None or job.ended
        return _job_event(job) if job is not None else b""

    def news(self, connection: Connection, change: Change) -> bytes:
        """Return the job if it has changed."""
        if self._ended or not (change is None or any(job.id == self._id for job in change)):
            return b""
        return self.opening(connection, None)

    def ended(self) -> bool:
        """Return whether the job has ended."""
        return self._ended


def _job_event(job: Job) -> bytes:
    return event("job", json.dumps(job_view(job)))


_all_jobs = AllJobs()


@blueprint.get("/events")
@blueprint.doc(summary="Follow all jobs (Server-Sent Events)", responses=_STREAM | error_responses(503))
def all_jobs() -> Response:
    """Follow all jobs. An event ``reset`` says that too much has changed: load the list again."""
    return open_stream(_all_jobs)


@blueprint.get("/tasks/<task_id>/events")
@blueprint.doc(summary="Follow one job to its end (Server-Sent Events)", responses=_STREAM | error_responses(404, 503))
def one_job(task_id: str) -> Response:
    """Follow one job: how it is now, each change, and the end of the stream when the job has ended."""
    find_job(task_id)
    return open_stream(OneJob(task_id))
