"""How the queues stand: looked up in one way for the API, the monitor and the recorded samples.

The depths come from RabbitMQ. The jobs and the rates come from the ledger, so that they count whole jobs, and are known
while RabbitMQ is down.
"""

import time
from collections import deque

from jobs.broker.depths import BrokerUnavailable, QueueDepth, queue_depths
from jobs.catalogue import QUEUES
from jobs.ledger import pauses, queries
from jobs.ledger.database import ledger
from jobs.ledger.records import QueueSample

#: Seconds that a rate is the mean of.
WINDOW = 60.0

#: Jobs per queue.
Counts = dict[str, int]


class Sampler:
    """Takes samples of the queues. Between two samples it counts only the jobs that have come or ended since."""

    #: Why RabbitMQ gave no depths for the last sample; empty if it did.
    trouble = ""

    def __init__(self) -> None:
        self._began = self._at = time.time()
        with ledger().reading() as connection:
            self._seq = queries.newest_seq(connection)
            # Jobs of the minute before, taken as spread evenly over it.
            self._before = (
                queries.accepted_since(connection, self._began - WINDOW),
                queries.ended_after(connection, self._began - WINDOW),
            )
        #: When each sample of the last minute was taken, and the jobs accepted and ended since the one before.
        self._recent: deque[tuple[float, Counts, Counts]] = deque()

    def sample(self) -> list[QueueSample]:
        """Look at every queue once. Raises :class:`sqlalchemy.exc.SQLAlchemyError`."""
        depths: dict[str, QueueDepth] = {}
        self.trouble = ""
        try:
            depths = {depth.name: depth for depth in queue_depths()}
        except BrokerUnavailable as error:
            self.trouble = str(error)
        now = time.time()
        with ledger().reading() as connection:
            newest = queries.newest_seq(connection)
            accepted = queries.accepted_after(connection, self._seq)
            ended = queries.ended_after(connection, self._at)
            unfinished = queries.unfinished(connection)
            scheduled = queries.scheduled(connection)
            paused = pauses.paused(connection)
        self._recent.append((now, accepted, ended))
        self._at, self._seq = now, newest
        while self._recent[0][0] < now - WINDOW:
            self._recent.popleft()
        return [
            QueueSample(
                at=now,
                name=name,
                ready=depths[name].ready if name in depths else None,
                unacknowledged=depths[name].unacknowledged if name in depths else None,
                consumers=depths[name].consumers if name in depths else None,
                unfinished=unfinished.get(name, 0),
                scheduled=scheduled.get(name, 0),
                in_rate=self._rate(name, 0),
                out_rate=self._rate(name, 1),
                paused=name in paused,
            )
            for name in QUEUES
        ]

    def _rate(self, queue: str, which: int) -> float:
        """Return the jobs per second of the last minute: accepted ones for 0, ended ones for 1."""
        share_of_before = max(0.0, 1 - (self._at - self._began) / WINDOW)
        recent = sum(counts[which].get(queue, 0) for _, *counts in self._recent)
        return (recent + self._before[which].get(queue, 0) * share_of_before) / WINDOW
