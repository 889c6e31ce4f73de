"""The relay: publishes what its own process has just accepted, without a request waiting for it.

It is only a short cut. A job is due in the ledger until it is marked published, so whatever the relay drops (a full
buffer, a broker that is down, a killed process) is published by the beat container a few seconds later.
"""

import logging
import queue
import threading
import time
from functools import partial

from jobs import logs
from jobs.broker.publisher import NotPublished, Publisher, tell_published
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.moves import mark_published
from jobs.ledger.records import RELAY_GRACE, DueJob

logger = logging.getLogger(__name__)
#: Told of each batch that was published.
_published = logging.getLogger("warren.published")

#: Jobs held in memory while the broker is slow; more are left to the beat container.
BUFFER = 10_000
#: Seconds to leave a failing broker alone.
PAUSE = 1.0
#: Seconds until published jobs are marked so. Most of them have been claimed by then, and need no mark any more.
MARK_AFTER = 0.5
#: Most jobs that are marked in one go: requests wait for the same writer.
MARK_BATCH = 100


class Relay:
    """A thread that publishes accepted jobs in batches and marks them published a little later."""

    def __init__(self, publisher: Publisher, commits: GroupCommit) -> None:
        self._publisher = publisher
        self._commits = commits
        self._buffer: queue.Queue[DueJob] = queue.Queue(BUFFER)
        self._unmarked: list[DueJob] = []
        self._mark_at = 0.0
        self._lines = logs.GatheredLines()
        _published.addHandler(self._lines)
        _published.propagate = False
        threading.Thread(target=self._run, name="relay", daemon=True).start()

    def hand_over(self, accepted: DueJob) -> None:
        """Take a job whose row is committed; return at once."""
        try:
            self._buffer.put_nowait(accepted)
        except queue.Full:
            logger.debug("relay buffer full: %s is left to the beat container", accepted.id)

    def _run(self) -> None:
        while True:
            if batch := self._next_batch():
                self._publish(batch)
            if self._unmarked and time.monotonic() >= self._mark_at:
                self._mark()

    def _next_batch(self) -> list[DueJob]:
        """Return jobs to publish; none, if there are none until it is time to mark others."""
        try:
            batch = [self._buffer.get(timeout=max(0, self._mark_at - time.monotonic()) if self._unmarked else None)]
        except queue.Empty:
            return []
        while len(batch) < self._publisher.batch_size and not self._buffer.empty():
            batch.append(self._buffer.get())
        # Those whose grace has passed belong to the beat container.
        return [job for job in batch if job.due_at > time.time() + RELAY_GRACE / 5]

    def _publish(self, batch: list[DueJob]) -> None:
        began = time.monotonic()
        try:
            self._publisher.publish(batch)
        except NotPublished as reason:
            logger.warning("not published, the beat container will: %s", reason)
            time.sleep(PAUSE)
            return
        tell_published(_published, batch, time.monotonic() - began)
        if not self._unmarked:
            self._mark_at = time.monotonic() + MARK_AFTER
        self._unmarked += batch

    def _mark(self) -> None:
        self._lines.flush()
        published, self._unmarked = self._unmarked, []
        for start in range(0, len(published), MARK_BATCH):
            part = published[start : start + MARK_BATCH]
            try:
                self._commits.run(partial(mark_published, jobs=part), timeout=30)
            except Exception as error:  # the jobs stay due, and a second message does no harm
                logger.warning("published but not marked so: %s", error)
