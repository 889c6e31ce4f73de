"""The relay: publishes what its own process has just accepted, without a request waiting for it.

It is only a short cut. A job is due in the ledger until it is marked published, so whatever the relay drops (a full
buffer, a broker that is down, a killed process) is published by the beat container a few seconds later.
"""

import logging
import queue
import threading
import time
from functools import partial

from jobs.broker.publisher import NotPublished, Publisher
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.moves import mark_published
from jobs.ledger.records import RELAY_GRACE, DueJob

logger = logging.getLogger(__name__)

#: Jobs held in memory while the broker is slow; more are left to the beat container.
BUFFER = 10_000
#: Seconds to leave a failing broker alone.
PAUSE = 1.0


class Relay:
    """A thread that publishes accepted jobs in batches and marks them published."""

    def __init__(self, publisher: Publisher, commits: GroupCommit) -> None:
        self._publisher = publisher
        self._commits = commits
        self._buffer: queue.Queue[DueJob] = queue.Queue(BUFFER)
        threading.Thread(target=self._run, name="relay", daemon=True).start()

    def hand_over(self, accepted: DueJob) -> None:
        """Take a job whose row is committed; return at once."""
        try:
            self._buffer.put_nowait(accepted)
        except queue.Full:
            logger.debug("relay buffer full: %s is left to the beat container", accepted.id)

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                continue
            try:
                self._publisher.publish(batch)
            except NotPublished as reason:
                logger.warning("not published, the beat container will: %s", reason)
                time.sleep(PAUSE)
                continue
            try:
                self._commits.run(partial(mark_published, jobs=batch), timeout=30)
            except Exception as error:  # the jobs stay due, and a second message does no harm
                logger.warning("published but not marked so: %s", error)

    def _next_batch(self) -> list[DueJob]:
        batch = [self._buffer.get()]
        while len(batch) < self._publisher.batch_size and not self._buffer.empty():
            batch.append(self._buffer.get())
        # Those whose grace has passed belong to the beat container.
        return [job for job in batch if job.due_at > time.time() + RELAY_GRACE / 5]
