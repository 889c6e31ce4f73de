"""Notices when a part of the stack is no longer well, and when it is well again.

A change counts when it has lasted for a while: what is over at once, or comes with a renewal, is no news. What was
noted last is in the ledger, so that a beat that starts anew does not tell it a second time.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jobs.disks import nearly_full
from jobs.ledger import notices, workers
from jobs.ledger.database import ledger
from jobs.ledger.records import QueueSample
from jobs.settings import settings

logger = logging.getLogger(__name__)

#: Seconds that a change must have lasted.
HOLD = 15.0
#: The backlog is not well from this share of its limit on, and well again below the other: it may go up and down.
BACKLOG_HIGH, BACKLOG_LOW = 0.9, 0.8
#: A disk that was nearly full is well again when it has so many times the room.
DISK_MARGIN = 1.2

#: What is said of a part that is well again.
WELL = {
    "broker": "RabbitMQ answers again.",
    "workers": "Workers take jobs from every queue again.",
    "backlog": "The backlog is far enough below its limit again.",
    "disk": "The disks have enough room again.",
}


class HealthWatch:
    """Compares what it sees with what was noted last, for the parts in :data:`WELL` and for the ledger."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        #: Since when a part has been otherwise than it was noted.
        self._otherwise: dict[str, float] = {}
        self._ledger_failing_since: float | None = None

    def look(self, broker_trouble: str, samples: Sequence[QueueSample]) -> None:
        """Note what has changed; to be called every few seconds. Raises :class:`sqlalchemy.exc.SQLAlchemyError`."""
        channels = set(settings().notice_channels)
        if not channels:
            return
        with ledger().reading() as connection:
            told_unwell = notices.channels_told_unwell(connection)
            living = workers.living(connection, settings().worker_lease)
        served = {queue for worker in living for queue in worker.queues.split(",")}
        troubles = {
            "broker": _broker(broker_trouble),
            "workers": _workers(served, samples),
            "backlog": _backlog(samples, "backlog" in told_unwell),
            "disk": _disk("disk" in told_unwell),
        }
        for part, trouble in troubles.items():
            noted = told_unwell.get(part, set()) == (channels if trouble else set())
            self._compare(part, trouble, noted)
        self._note_ledger()

    def ledger_failed(self) -> None:
        """Remember that the ledger cannot be used, to tell of it when it can be."""
        self._ledger_failing_since = self._ledger_failing_since or self._now()

    def _compare(self, part: str, trouble: str, noted: bool) -> None:
        if noted:
            self._otherwise.pop(part, None)
            return
        since = self._otherwise.setdefault(part, self._now())
        if self._now() - since < HOLD:
            return
        sentence = trouble or WELL[part]
        logger.warning("health of %s: %s", part, sentence)
        with ledger().writing() as connection:
            notices.health_changed(connection, part, not trouble, sentence, since)
        del self._otherwise[part]

    def _note_ledger(self) -> None:
        since, self._ledger_failing_since = self._ledger_failing_since, None
        if since is not None and self._now() - since >= HOLD:
            sentence = f"The ledger could not be used for {self._now() - since:.0f} s. It can be used again."
            with ledger().writing() as connection:
                notices.happened(connection, "ledger", sentence, since)


def _broker(trouble: str) -> str:
    return trouble and f"{trouble}. Jobs are accepted, and run when it answers again."


def _workers(served: set[str], samples: Sequence[QueueSample]) -> str:
    if not served:
        return "No worker is alive. Jobs are accepted, and wait."
    waiting = [f"{each.name} ({each.backlog:,} wait)" for each in samples if each.backlog and each.name not in served]
    return f"No worker takes jobs from {', '.join(waiting)}." if waiting else ""


def _backlog(samples: Sequence[QueueSample], was_high: bool) -> str:
    limit = settings().backlog_limit
    unfinished = sum(each.unfinished for each in samples)
    if unfinished < limit * (BACKLOG_LOW if was_high else BACKLOG_HIGH):
        return ""
    return f"{unfinished:,} jobs are not finished. From {limit:,} on, new jobs are answered 503."


def _disk(was_full: bool) -> str:
    margin = DISK_MARGIN if was_full else 1
    for what, folder in _folders():
        try:
            usage = shutil.disk_usage(folder)
        except OSError as error:
            return f"The disk of the {what} cannot be used: {error.strerror}."
        if nearly_full(usage.free, usage.total, margin):
            return f"The disk of the {what} is nearly full: {usage.free / 1e9:.1f} GB are free."
    return ""


def _folders() -> Iterator[tuple[str, Path]]:
    if (file := ledger().file) is not None:
        yield "ledger", file.parent
    yield "exported files", settings().exports_dir
