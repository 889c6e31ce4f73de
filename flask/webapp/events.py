"""Changes of jobs as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each event is a whole job as ``GET /tasks/ID`` shows it, so that hearing one twice does no harm. Its id is a time; a
browser that reconnects sends the last one, and is told what has changed since.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty
from typing import Any

from apiflask import APIBlueprint
from flask import Response, json, request

from webapp import jobs
from webapp.documentation import problems
from webapp.feed import Change, feed
from webapp.problems import unavailable
from webapp.views import job_view

blueprint = APIBlueprint("events", __name__, tag="Jobs")

#: Seconds between signs of life on a quiet stream; shorter than Nginx's read timeout.
KEEP_ALIVE = 15.0
#: Threads of a process that streams leave to other requests.
KEPT_FREE = 8

_streams = threading.BoundedSemaphore(max(1, int(os.environ.get("WEB_THREADS", "32")) - KEPT_FREE))

#: Whether this process is to go on; Gunicorn's configuration puts its worker's own answer here.
alive: Callable[[], bool] = lambda: True  # noqa: E731

_STREAM: dict[int | str, Any] = {
    200: {"description": "A stream of events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@blueprint.get("/events")
@blueprint.doc(summary="Follow all jobs (Server-Sent Events)", responses=_STREAM | problems(503))
def all_jobs() -> Response:
    """Follow all jobs. An event ``reset`` says that too much has changed: load the list again."""
    return _stream(_follow(_last_event(), only=None))


@blueprint.get("/tasks/<task_id>/events")
@blueprint.doc(summary="Follow one job to its end (Server-Sent Events)", responses=_STREAM | problems(404, 503))
def one_job(task_id: str) -> Response:
    """Follow one job: how it is now, each change, and the end of the stream when the job has ended."""
    jobs.find(task_id)
    return _stream(_follow(None, only=task_id))


def _last_event() -> float | None:
    """Return the time at which the client was last told something, in seconds since the epoch."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) / 1000 if text.isascii() and text.isdigit() and len(text) < 16 else None


def _stream(events: Iterable[str]) -> Response:
    if not _streams.acquire(blocking=False):
        raise unavailable("As many streams are open as this server allows.", retry_after=5)
    answer = Response(events, mimetype="text/event-stream")
    answer.call_on_close(_streams.release)
    # Nginx hands each event on at once.
    answer.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    return answer


def _follow(last_event: float | None, only: str | None) -> Iterator[str]:
    with feed().subscribed() as changes:
        yield "retry: 2000\n\n"
        if only is not None:
            row = jobs.find(only)
            yield _event(job_view(row))
            if row.ended_at is not None:
                return
        elif last_event is not None:
            yield from _told(feed().since(last_event))
        spoken = time.monotonic()
        while alive():
            try:
                change = changes.get(timeout=1)
            except Empty:
                if time.monotonic() - spoken > KEEP_ALIVE:
                    spoken = time.monotonic()
                    yield ": still here\n\n"
                continue
            if only is None:
                yield from _told(change)
            elif change is None or any(row.id == only for row in change):
                row = jobs.find(only)
                yield _event(job_view(row))
                if row.ended_at is not None:
                    return
            spoken = time.monotonic()


def _told(change: Change) -> Iterator[str]:
    if change is None:
        yield _event({}, name="reset")
    else:
        for row in change:
            yield _event(job_view(row))


def _event(data: dict[str, Any], name: str = "job") -> str:
    return f"id: {int(time.time() * 1000)}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
