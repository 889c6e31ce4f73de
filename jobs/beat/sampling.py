"""What the queues look like, every few seconds: taken in one way for the monitor, the dashboard and the API.

Depths come from RabbitMQ and rates from the ledger, so that rates are those of whole jobs, and there is something to
tell while RabbitMQ is down.
"""

import logging
import threading
import time
from dataclasses import asdict, dataclass

from sqlalchemy.exc import SQLAlchemyError

from jobs.broker.depths import BrokerUnavailable, QueueDepth, queue_depths
from jobs.catalogue import QUEUES
from jobs.ledger import moves, queries
from jobs.ledger.database import ledger

logger = logging.getLogger(__name__)

#: Seconds between two recorded samples, and seconds that they are kept.
INTERVAL = 2.0
KEPT = 3600.0


@dataclass(frozen=True, kw_only=True)
class QueueSample:
    """One queue at one moment: the columns of the table ``sample``."""

    at: float
    queue: str
    ready: int | None
    unacknowledged: int | None
    consumers: int | None
    unfinished: int
    in_rate: float
    out_rate: float


def known_depths() -> tuple[dict[str, QueueDepth], str]:
    """Return the depth of each queue by its name; or none, and why RabbitMQ does not tell."""
    try:
        return {depth.name: depth for depth in queue_depths()}, ""
    except BrokerUnavailable as error:
        return {}, str(error)


class Sampler:
    """Takes samples; rates are those since the one before."""

    #: Why the last sample has no depths; empty if it has.
    trouble = ""

    def __init__(self) -> None:
        self._at = time.time()
        with ledger().reading() as connection:
            self._seq = queries.newest_seq(connection)

    def sample(self) -> list[QueueSample]:
        """Look at every queue once."""
        depths, self.trouble = known_depths()
        now = time.time()
        passed = max(now - self._at, 0.001)
        with ledger().reading() as connection:
            newest = queries.newest_seq(connection)
            accepted = queries.accepted_after(connection, self._seq)
            ended = queries.ended_after(connection, self._at)
            unfinished = queries.open_counts(connection)
        self._at, self._seq = now, newest
        return [
            QueueSample(
                at=now,
                queue=name,
                ready=depths[name].ready if name in depths else None,
                unacknowledged=depths[name].unacknowledged if name in depths else None,
                consumers=depths[name].consumers if name in depths else None,
                unfinished=sum(unfinished.get(name, {}).values()),
                in_rate=accepted.get(name, 0) / passed,
                out_rate=ended.get(name, 0) / passed,
            )
            for name in QUEUES
        ]


def record() -> None:
    """Write samples into the ledger for ever: a thread of the beat container, so that every viewer sees the same."""
    sampler = None
    while True:
        try:
            sampler = sampler or Sampler()
            rows = [asdict(sample) for sample in sampler.sample()]
            with ledger().writing(durable=False) as connection:
                moves.record_sample(connection, rows, keep_since=time.time() - KEPT)
        except SQLAlchemyError as error:
            logger.warning("the queues cannot be recorded: %s", error)
        time.sleep(INTERVAL)


def start_recording() -> None:
    """Start that thread."""
    threading.Thread(target=record, name="sampling", daemon=True).start()


def time_left(unfinished: int, in_rate: float, out_rate: float) -> str:
    """Return when a queue will be empty at these rates (jobs per second)."""
    if unfinished == 0:
        return "empty"
    if out_rate <= in_rate:
        return "growing" if in_rate > out_rate else "not moving"
    return duration(unfinished / (out_rate - in_rate))


def duration(seconds: float) -> str:
    """Return a duration as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
