"""A job as the API shows it."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Row

from jobs import identity, states
from webapp.problems import field_problem


def timestamp(seconds: float | None) -> str | None:
    """Return a time of the ledger in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds is not None else None


def outcome(row: Row[Any]) -> Any:
    """Return what the job came to: its result, or one plain sentence on why there is none."""
    return row.result if row.state == states.SUCCESS else row.error


def job_view(row: Row[Any]) -> dict[str, Any]:
    """Return everything known about a job."""
    return {
        "task_id": row.id,
        "task_type": row.type,
        "queue": row.queue,
        "state": row.state,
        "status": row.state,
        "input_params": row.params,
        "info": row.result if row.state == states.SUCCESS else row.info,
        "result": outcome(row),
        "progress": row.progress,
        "ready": row.state in states.ENDED,
        "successful": row.state == states.SUCCESS,
        "attempts": row.attempts,
        "worker": identity.display_name(row.worker),
        "created_at": timestamp(row.created_at),
        "run_at": timestamp(row.run_at),
        "next_attempt_at": timestamp(row.due_at) if row.state == states.RETRY else None,
        "started_at": timestamp(row.started_at),
        "ended_at": timestamp(row.ended_at),
    }


def attempt_view(row: Row[Any]) -> dict[str, Any]:
    """Return a past attempt of a job."""
    return {
        "number": row.number,
        "worker": identity.display_name(row.worker),
        "started_at": timestamp(row.started_at),
        "ended_at": timestamp(row.ended_at),
        "error": row.error,
    }


def sample_views(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Return the samples of the queues, those of one moment together; ``at`` is in seconds since the epoch."""
    return [
        {
            "at": at,
            "queues": {
                row.queue: {
                    "ready": row.ready,
                    "unacknowledged": row.unacknowledged,
                    "consumers": row.consumers,
                    "unfinished": row.unfinished,
                    "in_rate": row.in_rate,
                    "out_rate": row.out_rate,
                }
                for row in of_moment
            },
        }
        for at, of_moment in groupby(rows, key=attrgetter("at"))
    ]


def cursor(position: int) -> str:
    """Return the opaque cursor of the page after the row at that position (``seq`` or ``id``)."""
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode().rstrip("=")


def from_cursor(text: str) -> int:
    """Return the position in a cursor. Raises a 422 problem for one that this API did not hand out."""
    try:
        word, _, number = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(":")
        if word == "after" and number.isascii() and number.isdigit() and len(number) < 19:
            return int(number)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise field_problem(422, "cursor", "not one that this API handed out; take the `next` of the page before")
