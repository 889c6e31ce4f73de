"""Changes of jobs, as JSON in Server-Sent Events.

Each event is a whole job as ``GET /tasks/ID`` shows it, so that hearing one twice does no harm. Its id is a time; a
client that reconnects sends the last one, and is told what has changed since.
"""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, json
from sqlalchemy import Connection

from jobs.ledger import queries
from jobs.ledger.records import Job
from webapp.api.openapi import error_responses
from webapp.operations import find_job
from webapp.streaming.feed import Change, since
from webapp.streaming.streams import event, open_stream
from webapp.views import job_view

blueprint = APIBlueprint("events", __name__, tag="Jobs")

_STREAM: dict[int | str, Any] = {
    200: {"description": "A stream of events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


class AllJobs:
    """The kind of stream that tells of every job."""

    def opening(self, connection: Connection, last_event: float | None) -> bytes:
        """Return the jobs that have changed since then."""
        return self.news(connection, since(connection, last_event)) if last_event is not None else b""

    def news(self, _connection: Connection, change: Change) -> bytes:
        """Return an event for each job, or one that says that there are too many."""
        if change is None:
            return event("reset", "{}")
        return b"".join(_job_event(job) for job in change)

    def over(self) -> bool:
        """Never."""
        return False


class OneJob:
    """The kind of stream that tells of one job, to its end."""

    def __init__(self, task_id: str) -> None:
        self._id = task_id
        self._over = False

    def opening(self, connection: Connection, _last_event: float | None) -> bytes:
        """Return the job as it is now."""
        job = queries.find(connection, self._id)
        self._over = job is None or job.ended
        return _job_event(job) if job is not None else b""

    def news(self, connection: Connection, change: Change) -> bytes:
        """Return the job if it has changed."""
        if self._over or not (change is None or any(job.id == self._id for job in change)):
            return b""
        return self.opening(connection, None)

    def over(self) -> bool:
        """Tell whether the job has ended."""
        return self._over


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
