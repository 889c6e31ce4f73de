"""Answers a request of Flask with a stream."""

import os
from functools import cache

from flask import Response, request

from jobs.ledger.database import ledger
from webapp.auth.actor import actor
from webapp.problems import Problem, unavailable
from webapp.streaming.channel import Channel
from webapp.streaming.service import StreamingService, TooManyOfOne, TooManySubscribers
from webapp.streaming.transport import Transport, take_socket


def open_stream(channel: Channel, *, compressed: bool = False) -> Response:
    """Answer the current request with a stream. Raises a 503 or 429 problem when as many are open as may be."""
    if request.method != "HEAD":
        try:
            service().subscribe(channel, _last_event(), lambda: _connect(compressed), actor())
        except TooManySubscribers:
            raise unavailable("As many streams are open as this server allows.", retry_after=5) from None
        except TooManyOfOne:
            detail = "You have as many streams open as one person or token may have."
            raise Problem(429, detail, headers={"Retry-After": "5"}) from None
    # Gunicorn sends this only if the head alone was asked for. Otherwise the connection is no longer its own.
    return Response(mimetype="text/event-stream", headers={"Cache-Control": "no-store"})


@cache
def service() -> StreamingService:
    """Return this process's service. Its thread starts with the first stream, and so after Gunicorn's fork."""
    return StreamingService(
        ledger(),
        limit=int(os.environ.get("WEB_STREAMS", "500")),
        limit_of_one=int(os.environ.get("STREAMS_PER_PERSON", "50")),
    )


def _connect(compressed: bool) -> Transport:
    return Transport(take_socket(request.environ["gunicorn.socket"]), compressed=compressed)


def _last_event() -> float | None:
    """Return when the client was last told something, in seconds since the epoch: the id of its last event."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) // 1000 if text.isascii() and text.isdigit() and len(text) < 16 else None
