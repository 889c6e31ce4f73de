"""Notices: the table ``notice``. What happens is gathered for each channel and reason, and then told as one notice.

A failure is noted in the transaction that ends the job, so no crash can lose it. A notice is written down, with an id
of its own, before it is sent, and removed when the receiver has it. Whoever dies in between leaves it to be sent once
more, with the same id and the same content: so nothing is lost, and a receiver can tell a repetition.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Row, case, delete, or_, select, update

from jobs.ledger import upsert
from jobs.ledger.records import clock, new_id
from jobs.ledger.schema import notice
from jobs.settings import settings

#: Least seconds between two notices of the same reason.
INTERVAL = 60.0
#: Seconds for more of the same to gather before the first notice, so that it can say how much it is.
GATHER = 5.0
#: Seconds that a sender has for one notice before it counts as dead, and another may send it.
LEASE = 30.0
#: Most characters of a sentence that are kept.
LONGEST = 1000

_FAILED = "failed:"
_HEALTH = "health:"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A notice that is to be sent now."""

    #: The same each time that it is tried.
    id: str
    reason: str
    #: JSON, the same each time that it is tried.
    body: str
    #: How often it has been tried, this time included.
    tries: int


# --- what happens ----------------------------------------------------------------------------------------------------


def job_failed(connection: Connection, task_type: str, job_id: str, error: str) -> None:
    """Note that a job has ended as ``FAILURE``."""
    channels = settings().notice_channels
    _gather(connection, channels, _FAILED + task_type, error, since=time.time(), job_id=job_id)


def health_changed(connection: Connection, part: str, well: bool, sentence: str, since: float) -> None:
    """Note how a part of the stack has been ``since`` then, for the channels that were not told so."""
    told_unwell = channels_told_unwell(connection).get(part, set())
    channels = [channel for channel in settings().notice_channels if (channel in told_unwell) == well]
    _gather(connection, channels, _HEALTH + part, sentence, since=since, well=well)


def happened(connection: Connection, part: str, sentence: str, since: float) -> None:
    """Note something that a part of the stack has gone through, and that is over."""
    _gather(connection, settings().notice_channels, _HEALTH + part, sentence, since=since, well=True)


def channels_told_unwell(connection: Connection) -> dict[str, set[str]]:
    """Return, for each part that is not well by what was noted last, the channels for which that was noted."""
    found: dict[str, set[str]] = {}
    for row in connection.execute(select(notice.c.channel, notice.c.reason).where(notice.c.well.is_(False))):
        found.setdefault(row.reason.removeprefix(_HEALTH), set()).add(row.channel)
    return found


def forget(connection: Connection, kept_channels: Iterable[str]) -> None:
    """Remove what was gathered for channels that are switched off: it would be stale when they are on again."""
    connection.execute(delete(notice).where(notice.c.channel.not_in(list(kept_channels))))


def _gather(
    connection: Connection,
    channels: list[str],
    reason: str,
    sentence: str,
    *,
    since: float,
    job_id: str | None = None,
    well: bool | None = None,
) -> None:
    if not channels:
        return
    new = {
        "reason": reason,
        "times": 1,
        "first_at": since,
        "last_at": time.time(),
        "sentence": sentence[:LONGEST],
        "job_id": job_id,
        "well": well,
    }
    connection.execute(_add_to_row(connection.dialect.name), [{"channel": channel, **new} for channel in channels])


@cache
def _add_to_row(dialect: str) -> Executable:
    """Return the statement that begins a row, or counts in it; prepared once, because many jobs may fail at once."""
    new = upsert.insert(dialect, notice)
    return new.on_conflict_do_update(
        index_elements=[notice.c.channel, notice.c.reason],
        set_={
            "times": notice.c.times + 1,
            "first_at": case((notice.c.times == 0, new.excluded.first_at), else_=notice.c.first_at),
            "last_at": new.excluded.last_at,
            "sentence": new.excluded.sentence,
            "job_id": new.excluded.job_id,
            "well": new.excluded.well,
        },
    )


# --- what is told ----------------------------------------------------------------------------------------------------


def is_due(connection: Connection, channel: str, now: float) -> bool:
    """Tell whether a channel has a notice to send."""
    return connection.execute(select(notice.c.reason).where(_due(channel, now)).limit(1)).first() is not None


def take(connection: Connection, channel: str, now: float, stack: str) -> Delivery | None:
    """Return a notice to send, if there is one. Nobody else gets it for :data:`LEASE` seconds.

    It is one that was tried before, or a new one of all that has gathered for a reason. ``stack`` is who tells it.
    """
    longest_due = select(notice).where(_due(channel, now)).order_by(notice.c.next_at, notice.c.first_at).limit(1)
    row = connection.execute(longest_due.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    values: dict[str, Any] = {"tries": row.tries + 1, "next_at": now + LEASE}
    if row.delivery_id is None:
        made = new_id()
        values |= {"delivery_id": made, "body": json.dumps(_body(row, made, stack)), "times": 0}
    this = (notice.c.channel == channel) & (notice.c.reason == row.reason)
    written = connection.execute(update(notice).where(this).values(values).returning(notice)).one()
    return Delivery(id=written.delivery_id, reason=row.reason, body=written.body, tries=written.tries)


def told(connection: Connection, channel: str, delivery: Delivery, now: float) -> None:
    """Note that a notice was received: the next one of its reason comes a minute later."""
    connection.execute(
        update(notice)
        .where(_is(channel, delivery))
        .values(delivery_id=None, body=None, tries=0, next_at=now + INTERVAL)
    )


def put_off(connection: Connection, channel: str, delivery: Delivery, until: float) -> None:
    """Note that a notice was not received, and when it is to be tried again."""
    connection.execute(update(notice).where(_is(channel, delivery)).values(next_at=until))


def _due(channel: str, now: float) -> ColumnElement[bool]:
    gathered = (notice.c.times > 0) & (notice.c.first_at <= now - GATHER)
    return (notice.c.channel == channel) & (notice.c.next_at <= now) & or_(notice.c.body.is_not(None), gathered)


def _is(channel: str, delivery: Delivery) -> ColumnElement[bool]:
    return (notice.c.channel == channel) & (notice.c.reason == delivery.reason) & (notice.c.delivery_id == delivery.id)


def _body(row: Row[Any], delivery_id: str, stack: str) -> dict[str, Any]:
    """Return the notice of what has gathered in a row."""
    kind, _, name = row.reason.partition(":")
    about_job = kind == _FAILED[:-1]
    return {
        "id": delivery_id,
        "stack": stack,
        "reason": row.reason,
        "text": _failures(row, name) if about_job else _changes(row),
        "count": row.times,
        "first_at": _iso(row.first_at),
        "last_at": _iso(row.last_at),
        "job": {"task_id": row.job_id, "task_type": name, "error": row.sentence} if about_job else None,
        "health": None if about_job else {"part": name, "well": row.well},
    }


def _failures(row: Row[Any], kind: str) -> str:
    if row.times == 1:
        return f"A job of the kind {kind} failed: {row.sentence}"
    return f"{row.times:,} jobs of the kind {kind} failed within {_span(row)}. The last one: {row.sentence}"


def _changes(row: Row[Any]) -> str:
    more = f" This has changed {row.times:,} times within {_span(row)}." if row.times > 1 else ""
    return f"{row.sentence}{more}"


def _span(row: Row[Any]) -> str:
    seconds = max(1, round(row.last_at - row.first_at))
    return f"{seconds} s" if seconds <= 120 else f"{clock(seconds)} {'minutes' if seconds < 3600 else 'hours'}"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
