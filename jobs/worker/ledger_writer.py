"""The writer of a worker: its main process claims jobs and stores what they came to, many in one transaction.

Outcomes of jobs and messages for free processes come in while others run. What one turn of the event loop has brought
is written together: one wait for the lock and one for the disk, instead of two of each for every job. The busier the
worker, the more a transaction holds. It is the group commit of :mod:`jobs.ledger.group_commit` without a thread, so
that no process is forked in the middle of a statement.
"""

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from celery.worker import state as worker_state
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from jobs import identity
from jobs.ledger import moves
from jobs.ledger.database import LedgerFileChanged, ledger
from jobs.ledger.records import Claim, Outcome
from jobs.states import State
from jobs.worker import job_log, metrics
from jobs.worker.bundle import Bundle
from jobs.worker.job_log import WORDS

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

logger = logging.getLogger(__name__)

#: Seconds between the ends of two turns under load, for more to gather: it costs one job little, and all of them gain.
TURN = 0.004
#: A turn with so many writes counts as load. After a smaller one the next follows at once.
LOAD = 4
#: Seconds for which a ledger that cannot be written is tried before the messages are given back.
PATIENCE = 90.0
#: Seconds between two tries.
PAUSE = 0.5


class Ended(NamedTuple):
    """A run that has ended, and is not stored yet."""

    request: "JobRequest"
    outcome: Outcome
    #: What Celery wants to know of the run.
    celerys: Any


class LedgerWriter:
    """One for each worker, in its main process; its methods are called by the event loop's thread only."""

    def __init__(self, controller: Any) -> None:
        self._controller = controller
        self._by = identity.worker_id()
        self._bundles: list[Bundle] = []
        self._ended: list[Ended] = []
        #: Whether a turn is coming.
        self._woken = False
        self._not_before = 0.0
        self._failing_since: float | None = None

    def claim(self, request: "JobRequest") -> None:
        """Claim a job soon and start it, or drop it if it is not to run. The pool has kept a slot for it."""
        if self._bundles and self._bundles[-1].add(request):
            self._controller.semaphore.release()  # a bundle needs one slot
        else:
            self._bundles.append(Bundle(request, self.store))
            self._wake()

    def store(self, request: "JobRequest", outcome: Outcome, celerys: Any) -> None:
        """Store soon what a run came to, and then have Celery acknowledge the message."""
        self._ended.append(Ended(request, outcome, celerys))
        self._wake()

    def flush(self) -> None:
        """Write what has gathered."""
        self._woken = False
        bundles, self._bundles = self._bundles, []
        ended, self._ended = self._ended, []
        if bundles or ended:
            self._write(bundles, ended)
            busy = len(ended) + sum(len(bundle.requests) for bundle in bundles) >= LOAD
            self._not_before = time.monotonic() + TURN if busy else 0.0

    def _wake(self) -> None:
        if worker_state.should_stop is not None or worker_state.should_terminate is not None:
            self.flush()  # the event loop does not turn any more
        elif not self._woken:
            self._woken = True
            wait = self._not_before - time.monotonic()
            if wait > 0:
                self._controller.hub.call_later(wait, self.flush)
            else:
                self._controller.hub.call_soon(self.flush)

    def _write(self, bundles: list[Bundle], ended: list[Ended]) -> None:
        requests = [request for bundle in bundles for request in bundle.requests]
        try:
            # SQLite loses a claim only in a power cut, which ends the worker as well. A server may lose it while the
            # worker lives: then the next claim would have the same number.
            with ledger().writing(durable=bool(ended) or ledger().file is None) as connection:
                dropped = len(ended) - _store(connection, [each.outcome for each in ended])
                claims = _claim(connection, requests, self._by)
        except (OperationalError, LedgerFileChanged) as error:
            self._try_again(bundles, ended, error)
        except (SQLAlchemyError, TypeError) as error:  # the second for what is no JSON, on PostgreSQL
            self._find_the_culprit(bundles, ended, error)
        else:
            self._failing_since = None
            if dropped:
                logger.info("reports dropped: %d; their jobs have moved on", dropped)
            self._settle(ended)
            self._start(bundles, claims)

    def _settle(self, ended: Iterable[Ended]) -> None:
        for request, outcome, celerys in ended:
            seconds = outcome.ended_at - (request.time_start or outcome.ended_at)
            job_log.tell(WORDS[outcome.state], **request.about, seconds=round(seconds, 4))
            metrics.ran(request.name, outcome.state, seconds)
            request.settle(celerys)

    def _start(self, bundles: Iterable[Bundle], claims: dict[str, Claim]) -> None:
        for bundle in bundles:
            claimed = []
            for request in bundle.requests:
                # Taken out: a second message of the same job finds none.
                claim = claims.pop(request.id, None)
                if claim is None:
                    logger.info(
                        "%s[%s] dropped: it runs elsewhere, has ended, or its queue is paused", request.name, request.id
                    )
                    request.drop()
                else:
                    request.attempt, request.request_id = claim.attempt, claim.request_id
                    job_log.tell("started", **request.about)
                    metrics.begun(request.name, claim)
                    claimed.append(request)
            if claimed:
                bundle.start(self._controller.pool, claimed)
            else:
                self._controller.semaphore.release()

    def _try_again(self, bundles: list[Bundle], ended: list[Ended], error: Exception) -> None:
        """Keep everything for a while, in the hope that the ledger can be written then."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > PATIENCE:
            self._failing_since = None
            self._give_back(bundles, ended, error)
        else:
            logger.warning("the ledger cannot be written, trying again: %s", error)
            self._bundles[:0], self._ended[:0] = bundles, ended
            self._woken = True
            self._controller.hub.call_later(PAUSE, self.flush)

    def _find_the_culprit(self, bundles: list[Bundle], ended: list[Ended], error: Exception) -> None:
        """Give back the one that the ledger does not take, and write the others."""
        if len(bundles) + len(ended) == 1:
            self._give_back(bundles, ended, error)
        else:
            for each in ended:
                self._write([], [each])
            for bundle in bundles:
                self._write([bundle], [])

    def _give_back(self, bundles: list[Bundle], ended: list[Ended], error: Exception) -> None:
        logger.error("the ledger cannot be written, messages are given back: %s", error)
        for each in ended:
            each.request.give_back()
        for bundle in bundles:
            for request in bundle.requests:
                request.give_back()
            self._controller.semaphore.release()


def _store(connection: Connection, outcomes: list[Outcome]) -> int:
    """Make the moves that outcomes stand for; return how many of them fitted."""
    # Failures first: they take a turn, and must not wait for it with other jobs locked.
    fitted = sum(_fail(connection, each) for each in outcomes if each.state is State.FAILURE)
    for each in outcomes:
        if each.state is State.RETRY:
            fitted += moves.retry_later(connection, each.job_id, each.error, each.due_at, attempt=each.attempt)
    return fitted + moves.succeed(connection, *(each for each in outcomes if each.state is State.SUCCESS))


def _fail(connection: Connection, ended: Outcome) -> bool:
    return moves.fail(connection, ended.job_id, ended.error, attempt=ended.attempt, traceback=ended.traceback)


def _claim(connection: Connection, requests: list["JobRequest"], by: str) -> dict[str, Claim]:
    """Claim jobs; return the claims of those that are to run, by their ids."""
    ids = [request.id for request in requests if request.in_ledger]
    claims = moves.claim(connection, ids, by)
    moves.hold(connection, [job_id for job_id in ids if job_id not in claims])
    for request in requests:
        if not request.in_ledger and (claim := moves.adopt(connection, request.as_new_job(), by)):
            claims[request.id] = claim
    return claims


_writer: LedgerWriter | None = None


def install(controller: Any) -> None:
    """Make the writer of this worker."""
    global _writer
    _writer = LedgerWriter(controller)
    job_log.install(lambda *call: controller.hub.call_later(*call))  # the event loop is made later


def writer() -> LedgerWriter:
    """Return the writer of this worker."""
    assert _writer is not None
    return _writer
