"""Taking jobs in: one intake in each Gunicorn process, with its group commit and its relay.

When :meth:`Intake.accept` returns, the job is on disk.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from itertools import chain
from typing import TypeVar

from flask import g
from sqlalchemy import Connection

from jobs.app import app as celery_app
from jobs.broker.publisher import Publisher
from jobs.broker.relay import Relay
from jobs.catalogue import JobType, Params
from jobs.ledger import audit, keys, moves, queries
from jobs.ledger.database import Ledger, ledger
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.records import AuditEntry, IdempotencyKey, NewJob, Priority, new_id
from jobs.settings import settings
from webapp import metrics
from webapp.auth import trail
from webapp.auth.actor import who
from webapp.problems import unavailable
from webapp.quota import Quota, quota
from webapp.request_id import request_id

T = TypeVar("T")

#: Seconds that a request waits for the disk before it is answered 503; for another PostgreSQL it may wait longer.
COMMIT_TIMEOUT = 3.0
#: Seconds for which a count of the backlog serves.
COUNT_FOR = 1.0


class Backlog:
    """Counts the unfinished jobs, about once a second, and those accepted here since."""

    def __init__(self, ledger: Ledger, limit: int) -> None:
        self._ledger = ledger
        self._limit = limit
        self._lock = threading.Lock()
        self._count = 0
        self._counted_at = float("-inf")

    def admit(self, jobs: int) -> None:
        """Count so many jobs in. Raises a 503 problem when there is no room for all of them."""
        with self._lock:
            if time.monotonic() - self._counted_at > COUNT_FOR:
                with self._ledger.reading() as connection:
                    self._count = queries.backlog(connection)
                self._counted_at = time.monotonic()
            if self._count + jobs > self._limit:
                raise unavailable(f"The backlog is full: {self._limit} jobs have not ended yet.", retry_after=5)
            self._count += jobs


def new_job(
    job_type: JobType,
    params: Params,
    *,
    run_at: datetime | None = None,
    urgent: bool = False,
    task_id: str | None = None,
) -> NewJob:
    """Return a job of the present request as the ledger takes it, with a new id if it is given none."""
    return NewJob(
        id=task_id or new_id(),
        type=job_type.name,
        queue=job_type.queue,
        params=params.model_dump(mode="json", exclude_none=True),
        run_at=run_at.timestamp() if run_at else None,
        priority=Priority.HIGH if urgent or job_type.control else Priority.NORMAL,
        request_id=request_id(),
        submitted_by=who(),
    )


class Intake:
    """Accepts jobs into the ledger and hands them to the relay."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._timeout = max(COMMIT_TIMEOUT, settings().ledger_patience)
        self._backlog = Backlog(ledger, settings().backlog_limit)
        self._commits = GroupCommit(ledger)
        self._relay = Relay(Publisher(celery_app), self._commits)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work(connection)`` in the next group commit. Raises a 503 problem when the ledger takes too long."""
        with _in_time():
            return self._commits.run(work, self._timeout)

    def write_later(self, work: Callable[[Connection], object]) -> None:
        """Have ``work(connection)`` run in a group commit, if the ledger can be written, and do not wait for it."""
        self._commits.later(work)

    def accept(self, *new: NewJob, key: IdempotencyKey | None = None, told: AuditEntry | None = None) -> str:
        """Store jobs, all or none, and return the id of the first; for a key that came before, the id of its first job.

        ``told`` is what the audit is to say, if it is more than that somebody submitted them.

        The ids of the others follow from it, see :func:`jobs.ledger.records.ids_after`. Raises a 503 problem when the
        backlog is full or the ledger does not answer in time, and :class:`jobs.ledger.records.KeyReused` for a key that
        came before with another request. Raises a 429 problem for a token that has submitted as many as it may.
        """
        limit = quota()
        if key is not None or limit is not None:
            # Before the backlog: a job that is there already, or is refused, is no part of what that has to take.
            with self._ledger.reading() as connection:
                known = keys.find(connection, key) if key is not None else None
                if known is not None:
                    return known
                if limit is not None:
                    limit.check(connection, len(new))
        self._backlog.admit(len(new))

        first = self._store(new, key, told or _submitted(new), limit)
        if first == new[0].id:
            metrics.accepted(new)
            for each in new:
                if each.run_at is None:
                    self._relay.hand_over(each.due)
        return first

    def _store(
        self, new: Sequence[NewJob], key: IdempotencyKey | None, told: AuditEntry | None, limit: Quota | None
    ) -> str:
        if key is not None or limit is not None:
            return self.write(lambda connection: _add_checked(connection, new, key, told, limit))
        with _in_time():
            self._commits.gather(_add, (new, told), self._timeout)
        return new[0].id


def _submitted(new: Sequence[NewJob]) -> AuditEntry | None:
    return trail.entry("submit", new[0].id, f"{len(new)} jobs" if len(new) > 1 else new[0].type)


def _add_checked(
    connection: Connection,
    new: Sequence[NewJob],
    key: IdempotencyKey | None,
    told: AuditEntry | None,
    limit: Quota | None,
) -> str:
    """Add jobs unless their key has come meanwhile. Raises a 429 problem if others have used up the limit meanwhile."""
    if limit is not None:
        limit.spend(connection, len(new))
    if key is None:
        _add(connection, [(new, told)])
        return new[0].id
    first = moves.add_once(connection, key, *new)
    if told is not None and first == new[0].id:
        audit.add(connection, told)
    return first


def _add(
    connection: Connection, requests: list[tuple[Sequence[NewJob], AuditEntry | None]], perhaps_done: bool = False
) -> None:
    if perhaps_done:
        there = queries.which_exist(connection, [new[0].id for new, _ in requests])
        requests = [request for request in requests if request[0][0].id not in there]
        if not requests:
            return
    moves.add(connection, *chain.from_iterable(new for new, _ in requests))
    entries = [told for _, told in requests if told is not None]
    if entries:
        audit.add(connection, *entries)


@contextmanager
def _in_time() -> Iterator[None]:
    if g:  # in a request, which is not to be done again any more: see webapp.again
        g.has_written = True
    try:
        yield
    except TimeoutError:
        raise unavailable("The ledger did not answer in time.") from None


@cache
def intake() -> Intake:
    """Return this process's intake; its threads start with the first job, hence after Gunicorn's fork."""
    return Intake(ledger())
