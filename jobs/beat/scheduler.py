"""The periodic part: a Celery Beat scheduler that publishes due jobs and recovers lost ones.

``celery beat --scheduler jobs.beat.scheduler:LedgerScheduler`` is Celery's documented extension point. Entries of
``beat_schedule`` work as always; on top of them each tick looks into the ledger:

- schedules whose slot has come make a job (:mod:`jobs.beat.recurring`);
- jobs that are due are published: scheduled for now, retries whose back-off has passed, left over by a web process;
- workers whose lease has run out are retired, and what they ran is due again;
- jobs whose messages the broker has lost (its volume wiped, say) are due again;
- what has become of jobs is added up, by kind (:mod:`jobs.beat.summing`);
- rows of jobs that ended long ago are removed, and so are old files of exports;
- the words of jobs that have ended are indexed, for the search.

Beside the ticks, a thread records what the queues look like (:mod:`jobs.beat.sampling`), and others send notices, if
somebody has asked for them (:mod:`jobs.beat.notifying`).

If there are several beats, one of them leads (:mod:`jobs.beat.leadership`). The others only send notices: each of these
is taken by one.
"""

import time
from collections.abc import Iterator
from typing import Any

from celery.beat import Scheduler
from celery.utils.log import get_logger
from sqlalchemy.exc import SQLAlchemyError

from jobs import heartbeat
from jobs.app import app as celery_app
from jobs.beat import notifying, recurring, sampling
from jobs.beat.leadership import Leadership
from jobs.beat.summing import Summing
from jobs.broker.depths import BrokerUnavailable, queue_depths
from jobs.broker.publisher import NotPublished, Publisher, tell_published
from jobs.exports import store
from jobs.ledger import expiry, moves, queries, words, workers
from jobs.ledger.database import ledger
from jobs.settings import settings

logger = get_logger(__name__)

#: Seconds between two looks at what is due.
TICK = 0.5
#: Seconds that one tick may go on publishing before the other duties have their turn.
PUBLISH_BUDGET = 2.0
#: Seconds between two comparisons of ledger and broker.
COMPARE_EVERY = 5.0
#: Seconds that RabbitMQ's counts of a quorum queue may lag behind, and then some.
COUNTS_LAG = 10.0
#: Seconds between two looks for old files.
CLEAR_EVERY = 60.0
#: Seconds that one tick may spend on removing old rows, and on removing old files.
REMOVE_BUDGET = 0.25
#: Seconds between two looks for jobs whose words are to be indexed, and how long one may take.
INDEX_EVERY, INDEX_BUDGET = 2.0, 0.1
#: Jobs made due again in one transaction: short enough to keep nobody waiting.
CHUNK = 500


class LedgerScheduler(Scheduler):
    """Celery Beat on the ledger."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._leadership = Leadership(ledger())
        self._publisher = Publisher(celery_app)
        self._last_watch: float | None = None
        self._watching_since = time.monotonic()
        self._renewals: dict[str, tuple[float, float]] = {}
        self._unknown_holders: set[str] = set()
        self._next_comparison = time.monotonic() + COMPARE_EVERY
        self._suspicious: set[str] = set()
        self._summing = Summing()
        self._next_clearing = time.monotonic()
        self._clearing: Iterator[bool] | None = None
        self._files_removed = 0
        self._next_indexing = time.monotonic()
        self._indexed_after = -1
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Begin. Celery makes a second scheduler as well, for its banner, and never calls this one of it."""
        super().setup_schedule()
        sampling.start_recording(self._leadership)
        notifying.start_sending()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Do what is due; return the seconds until the next look."""
        delay = TICK
        try:
            if self._leadership.seek():
                delay = min(delay, super().tick(*args, **kwargs))
                self._do_duties()
            heartbeat.beat()
        except SQLAlchemyError as error:
            logger.warning("the ledger cannot be used: %s", error)
        return delay

    def _do_duties(self) -> None:
        self._retire_dead_workers()
        self._compare_with_broker()
        recurring.make_jobs()
        self._publish_due()
        self._summing.look()
        self._remove_old()
        self._remove_expired_files()
        self._index_words()

    def _publish_due(self) -> None:
        until = time.monotonic() + PUBLISH_BUDGET
        while time.monotonic() < until:
            with ledger().reading() as connection:
                due = queries.due(connection, self._publisher.batch_size)
            if not due:
                return
            began = time.monotonic()
            try:
                self._publisher.publish(due)
            except NotPublished as reason:
                logger.warning("%d or more jobs wait for the broker: %s", len(due), reason)
                return
            tell_published(logger, due, time.monotonic() - began)
            with ledger().writing(durable=False) as connection:
                moves.mark_published(connection, due)

    def _retire_dead_workers(self) -> None:
        lease = settings().worker_lease
        with ledger().reading() as connection:
            registered = workers.registered(connection)
            holders = queries.holders(connection)
        now = time.monotonic()
        # While the ledger could not be used, or this process was paused, no lease could be renewed. So after a gap
        # between two looks, all workers get the time of a whole lease before any of them is judged.
        if self._last_watch is None or now - self._last_watch > lease / 2:
            self._watching_since = now
        self._last_watch = now
        # When each lease was renewed, by our own steady clock: the clocks of the workers may be wrong.
        self._renewals = {
            worker.id: before
            if (before := self._renewals.get(worker.id)) is not None and before[0] == worker.seen_at
            else (worker.seen_at, now)
            for worker in registered
        }
        if now - self._watching_since < lease:
            return
        dead = [worker_id for worker_id, (_, renewed) in self._renewals.items() if now - renewed > lease]
        unknown = holders - {worker.id for worker in registered}
        dead += unknown & self._unknown_holders
        self._unknown_holders = unknown
        for worker_id in dead:
            logger.warning("worker %s is gone; what it ran is run again", worker_id)
            with ledger().writing() as connection:
                workers.retire(connection, worker_id, settings().max_deliveries)

    def _compare_with_broker(self) -> None:
        """Find queues that hold fewer messages than the ledger has handed over to them.

        A job that was published before the broker's count, and is unclaimed after it, must be among the counted
        messages. Counted messages may be more (second deliveries, cancelled jobs), so a loss can hide behind those
        until they are worked off; a queue found short twice has lost some.
        """
        if time.monotonic() < self._next_comparison:
            return
        self._next_comparison = time.monotonic() + COMPARE_EVERY
        before = time.time() - COUNTS_LAG
        try:
            depths = queue_depths()
        except BrokerUnavailable:
            self._suspicious.clear()
            return
        with ledger().reading() as connection:
            short = {
                depth.name for depth in depths if queries.count_unclaimed(connection, depth.name, before) > depth.total
            }
        lost = short & self._suspicious
        self._suspicious = short - lost
        for name in lost:
            self._republish(name, before)

    def _republish(self, queue: str, before: float) -> None:
        count = 0
        while True:
            with ledger().writing() as connection:
                ids = queries.unclaimed(connection, queue, before, CHUNK)
                count += moves.mark_due(connection, ids)
            if len(ids) < CHUNK:
                break
        logger.warning("the broker has lost messages of the queue %s: %d jobs are published again", queue, count)

    def _remove_old(self) -> None:
        now = time.time()
        audited_before = now - settings().audit_expires
        # Not before they are added up, however short they are kept.
        ended_before = min(now - settings().result_expires, self._summing.until)
        expiry.remove_old(ledger(), ended_before, REMOVE_BUDGET, audited_before=audited_before)

    def _index_words(self) -> None:
        if time.monotonic() < self._next_indexing:
            return
        self._indexed_after = words.fill(ledger(), INDEX_BUDGET, self._indexed_after)
        self._next_indexing = time.monotonic() + INDEX_EVERY

    def _remove_expired_files(self) -> None:
        """Go on with the removal of old files, or begin it when it is time to."""
        until = time.monotonic() + REMOVE_BUDGET
        if self._clearing is None:
            if until < self._next_clearing:
                return
            self._clearing, self._files_removed = store.remove_expired(), 0
        try:
            for removed in self._clearing:
                self._files_removed += removed
                if time.monotonic() > until:
                    return
        except OSError as error:
            logger.warning("old files of exports cannot be removed: %s", error)
        if self._files_removed:
            logger.info("%d old files of exports removed", self._files_removed)
        self._clearing = None
        self._next_clearing = time.monotonic() + CLEAR_EVERY
