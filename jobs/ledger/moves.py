"""Every move of a job from one state to another: the only code that writes to the table ``job``.

Each function takes a connection inside a write transaction (:meth:`jobs.ledger.database.Ledger.writing`). Each
``UPDATE`` names the states that it may start from; a move that no longer fits changes nothing, and says so.

The rows are a transactional outbox (https://microservices.io/patterns/data/transactional-outbox.html): a row with a
``due_at`` is to be published, by the relay of the process that accepted it or, failing that, by the beat container.
``attempts`` is the fencing token of a claim (Kleppmann, "How to do distributed locking").
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, not_, or_, select, update

from jobs.errors import storable
from jobs.fingerprint import fingerprint
from jobs.ledger import attempts, failures, keys, mails, notices, reports, tracebacks, upsert, words
from jobs.ledger.database import take_turn
from jobs.ledger.pauses import MAY_START
from jobs.ledger.records import Claim, DueJob, IdempotencyKey, NewJob, Outcome
from jobs.ledger.reports import Report
from jobs.ledger.schema import job
from jobs.states import RUNNING, WAITING, State

#: Conditions that every move shares.
_THE_JOB = job.c.id == bindparam("key")
_WAITING = or_(*(job.c.state == state for state in WAITING))
_RUNNING = or_(*(job.c.state == state for state in RUNNING))
_THIS_ATTEMPT = job.c.attempts == bindparam("attempt")

# The moves of every job, prepared: building a statement takes longer than running it, and others wait for the lock.
_INSERT = insert(job)
# Some of the jobs that are marked are just being claimed. On PostgreSQL these are locked, and left alone: they need no
# mark any more. Otherwise two who lock the same jobs in another order could wait for each other.
_TO_MARK = select(job.c.seq).where(_THE_JOB, job.c.due_at == bindparam("was_due")).with_for_update(skip_locked=True)
_MARK_PUBLISHED = update(job).where(job.c.seq.in_(_TO_MARK)).values(due_at=None, published_at=bindparam("now"))
_MARK_ALL_DUE = update(job).where(_WAITING, job.c.due_at.is_(None)).values(due_at=bindparam("now"))
_TO_REPUBLISH = select(job.c.seq).where(_THE_JOB, _WAITING, job.c.due_at.is_(None)).with_for_update(skip_locked=True)
_MARK_DUE = update(job).where(job.c.seq.in_(_TO_REPUBLISH)).values(due_at=bindparam("now"))
_CLAIM = (
    update(job)
    # Concatenated, so that SQLite finds the rows by their ids and does not walk through all jobs that wait.
    .where(job.c.id.in_(bindparam("keys", expanding=True)), job.c.state.concat("").in_(WAITING))
    # A stray second message must not start a retry before its back-off has passed.
    .where((job.c.state == State.PENDING) | job.c.due_at.is_(None) | (job.c.due_at <= bindparam("now")))
    .where(MAY_START)
    .values(
        state=State.STARTED,
        worker=bindparam("by"),
        started_at=bindparam("now"),
        attempts=job.c.attempts + 1,
        due_at=None,
        progress=0,
        info=None,
        error=None,
    )
    .returning(job.c.id, job.c.attempts, job.c.created_at, job.c.run_at, job.c.request_id)
)
_HOLD = (
    update(job)
    .where(job.c.id.in_(bindparam("keys", expanding=True)), job.c.state.concat("").in_(WAITING))
    .where((job.c.state == State.PENDING) | job.c.due_at.is_(None), not_(MAY_START))
    # Another time than the one it was published for, so that it cannot be marked published any more. The earlier its
    # time, the earlier it is published when the queue goes on.
    .values(due_at=func.coalesce(job.c.run_at, job.c.created_at))
)
_PROGRESS = (
    update(job)
    .where(_THE_JOB, _THIS_ATTEMPT, _RUNNING)
    .values(state=State.PROGRESS, progress=bindparam("percent"), info=bindparam("told", type_=job.c.info.type))
)
_SUCCEED = (
    update(job)
    .where(_THE_JOB, _THIS_ATTEMPT, _RUNNING)
    .values(
        state=State.SUCCESS,
        ended_at=bindparam("now"),
        progress=100,
        info=None,
        result=bindparam("outcome", type_=job.c.result.type),
        error=None,
    )
)


def add(connection: Connection, *new: NewJob) -> None:
    """Write the rows of new jobs, at least one. They are accepted when the transaction commits."""
    connection.execute(_INSERT, [_row(each) for each in new])


def _row(new: NewJob) -> dict[str, Any]:
    return {
        "id": new.id,
        "type": new.type,
        "queue": new.queue,
        "params": new.params,
        "state": State.PENDING,
        "priority": new.priority,
        "request_id": new.request_id,
        "submitted_by": new.submitted_by,
        "retry_of": new.retry_of,
        "created_at": new.created_at,
        "run_at": new.run_at,
        "due_at": new.due_at,
    }


def add_once(connection: Connection, key: IdempotencyKey, *new: NewJob) -> str:
    """Write the rows of new jobs unless their key came before; return the id of the first job of the key.

    Raises :class:`jobs.ledger.records.KeyReused` if the key came before with another request.
    """
    first = keys.take(connection, key, new[0].id, new[0].created_at)
    if first == new[0].id:
        add(connection, *new)
    return first


def mark_published(connection: Connection, jobs: Sequence[DueJob]) -> None:
    """Note that the broker confirmed these jobs.

    A row whose ``due_at`` has changed since it was read (claimed, cancelled or due for a retry already) stays as it is.
    """
    now = time.time()
    connection.execute(_MARK_PUBLISHED, [{"key": due.id, "was_due": due.due_at, "now": now} for due in jobs])


def mark_due(connection: Connection, job_ids: Iterable[str]) -> int:
    """Make published jobs due again whose messages the broker has lost; return how many."""
    now = time.time()
    return sum(connection.execute(_MARK_DUE, {"key": job_id, "now": now}).rowcount for job_id in job_ids)


def mark_all_due(connection: Connection) -> int:
    """Make every published job due again that waits, because the broker begins empty; return how many."""
    return connection.execute(_MARK_ALL_DUE, {"now": time.time()}).rowcount


def claim(connection: Connection, job_ids: Sequence[str], by: str) -> dict[str, Claim]:
    """Start waiting jobs for the worker ``by``; return the claims of those that are to run, by the ids of the jobs."""
    if not job_ids:
        return {}
    claimed = connection.execute(_CLAIM, {"keys": job_ids, "by": by, "now": time.time()})
    return {
        row.id: Claim(attempt=row.attempts, ready_at=max(row.created_at, row.run_at or 0), request_id=row.request_id)
        for row in claimed
    }


def hold(connection: Connection, job_ids: Sequence[str]) -> int:
    """Take jobs of paused queues back from the broker; return how many. They are due, and published after the pause."""
    return connection.execute(_HOLD, {"keys": job_ids}).rowcount if job_ids else 0


def adopt(connection: Connection, new: NewJob, by: str) -> Claim | None:
    """Claim a job that was sent by ``task.delay()`` and so has no row yet: write one that is started already."""
    row = upsert.insert(connection.dialect.name, job).values(_row(new))
    connection.execute(row.on_conflict_do_nothing(index_elements=[job.c.id]))
    return claim(connection, [new.id], by).get(new.id)


def report_progress(connection: Connection, job_id: str, attempt: int, info: dict[str, Any]) -> bool:
    """Store what a running job says of its progress: ``info["percent"]`` (0-100) and whatever else it tells."""
    percent = max(0, min(100, int(info.get("percent", 0))))
    found = connection.execute(_PROGRESS, {"key": job_id, "attempt": attempt, "percent": percent, "told": info})
    if found.rowcount == 0:
        return False
    told = Report(run=attempt, at=time.time(), percent=percent, message=storable(str(info.get("message", ""))))
    reports.add(connection, job_id, told)
    return True


def succeed(connection: Connection, *outcomes: Outcome) -> int:
    """End running jobs well; return how many of the outcomes still fitted."""
    if not outcomes:
        return 0
    found = connection.execute(
        _SUCCEED,
        [
            {"key": each.job_id, "attempt": each.attempt, "now": each.ended_at, "outcome": each.result}
            for each in outcomes
        ],
    )
    return found.rowcount


def fail(
    connection: Connection,
    job_id: str,
    error: str,
    *,
    attempt: int | None = None,
    by: str | None = None,
    traceback: str | None = None,
) -> bool:
    """End a running job badly, with one plain sentence, and the traceback of its exception if there is one.

    The reporter is known by its ``attempt`` (the run itself) or as the worker ``by`` (about a run that it has killed).
    """
    failed = _fail(connection, _run_of(job_id, attempt, by), error)
    if failed and traceback is not None:
        tracebacks.add(connection, job_id, traceback)
    return failed


def retry_later(connection: Connection, job_id: str, error: str, due_at: float, *, attempt: int) -> bool:
    """Put a running job back, to be published again at ``due_at``."""
    return _put_back(
        connection,
        _run_of(job_id, attempt, None),
        error,
        retries=job.c.retries + 1,
        due_at=due_at,
    )


def cancel(connection: Connection, job_id: str) -> State | None:
    """End a job that has not ended; return the state it was in, or ``None`` if there was nothing to cancel."""
    if "\0" in job_id:  # PostgreSQL refuses the very question
        return None
    was = connection.execute(select(job.c.state).where(job.c.id == job_id).with_for_update()).scalar()
    moved = _cancel(connection, job.c.id == job_id)
    return State(was) if was is not None and moved else None


def withdraw(connection: Connection, job_id: str) -> bool:
    """End a job that no worker has claimed yet; ``False`` if it is too late for that."""
    # PostgreSQL refuses a NUL character.
    return "\0" not in job_id and _cancel(connection, (job.c.id == job_id) & (job.c.state == State.PENDING)) == 1


def cancel_all(connection: Connection, seqs: Sequence[int]) -> int:
    """End those of these jobs, given by their ``seq``, that have not ended; return how many."""
    return _cancel(connection, job.c.seq.in_(seqs))


def _cancel(connection: Connection, which: ColumnElement[bool]) -> int:
    ended = {"state": State.REVOKED, "ended_at": time.time(), "due_at": None, "info": None}
    statement = update(job).where(which, job.c.ended_at.is_(None)).values(**ended, error="Cancelled on request.")
    return connection.execute(statement).rowcount


def release(
    connection: Connection, job_ids: Iterable[str], by: str, max_deliveries: int, *, stopped: bool = False
) -> None:
    """Take jobs back from a worker that no longer runs them: due again now, or failed when it died of them too often.

    A worker that was ``stopped`` did not die of its jobs, and that counts for nothing.
    """
    take_turn(connection)
    for job_id in job_ids:
        held = (job.c.id == job_id) & (job.c.worker == by) & _RUNNING
        before = connection.execute(select(job.c.deaths).where(held)).scalar()
        if before is None:
            continue
        deaths = before if stopped else before + 1
        if deaths >= max_deliveries:
            times = "once" if deaths == 1 else f"{deaths} times"
            error = f"Given up: the worker process died {times} while running this job."
            _fail(connection, held, error, deaths=deaths)
        else:
            error = f"The worker was {'stopped' if stopped else 'lost'}; the job is run again."
            _put_back(connection, held, error, due_at=time.time(), deaths=deaths)


def expire(connection: Connection, ended_before: float, limit: int) -> int:
    """Delete up to ``limit`` jobs that ended before that time, with all that belongs to them; return how many."""
    return _delete(connection, job.c.ended_at < ended_before, job.c.ended_at, limit)


def delete_failed(connection: Connection, failure: str, failed_before: float, limit: int) -> int:
    """Delete up to ``limit`` jobs of a group that failed before that time, with all that belongs to them, as above.

    ``failure`` is the key of the group. Idempotency keys stay: a client that sends its request again makes no new job.
    """
    return _delete(connection, (job.c.failure == failure) & (job.c.ended_at < failed_before), job.c.seq, limit)


def _delete(connection: Connection, which: ColumnElement[bool], order: ColumnElement[Any], limit: int) -> int:
    rows = connection.execute(
        # What is locked, somebody else is just deleting.
        select(job.c.seq, job.c.id, job.c.failure)
        .where(which)
        .order_by(order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    old = [row.id for row in rows]
    failed = {row.id: row.failure for row in rows if row.failure is not None}
    if failed:
        take_turn(connection)
        tracebacks.remove(connection, list(failed))
        failures.leave(connection, Counter(failed.values()))
    if old:
        mails.remove(connection, old)
        attempts.remove(connection, old)
        reports.remove(connection, old)
        connection.execute(delete(job).where(job.c.id.in_(old)))
        words.remove(connection, {row.seq for row in rows})
    return len(old)


def _run_of(job_id: str, attempt: int | None, by: str | None) -> ColumnElement[bool]:
    """Return the condition that a job runs, and that the reporter is who runs it."""
    mine = job.c.attempts == attempt if attempt is not None else job.c.worker == by
    return (job.c.id == job_id) & mine & _RUNNING


def _fail(connection: Connection, where: ColumnElement[bool], error: str, **values: Any) -> bool:
    """End a running job badly, count it in its group, and note it for those who asked for notices."""
    take_turn(connection)  # the rows of groups and notices are for many jobs
    # First of all the kind: the key of the group depends on it.
    kind = connection.execute(select(job.c.type).where(where)).scalar()
    if kind is None:
        return False
    now = time.time()
    found = fingerprint(kind, error)
    ended = {"state": State.FAILURE, "ended_at": now, "info": None, "error": error, "failure": found.key}
    job_id = connection.execute(update(job).where(where).values(**ended, **values).returning(job.c.id)).scalar()
    if job_id is None:
        return False
    failures.add(connection, found, kind, now)
    notices.job_failed(connection, kind, job_id, error)
    return True


def _put_back(connection: Connection, where: ColumnElement[bool], error: str, **values: Any) -> bool:
    """Have a running job run again, and remember the attempt that this ends."""
    return attempts.remember(connection, where, error) and _move(
        connection, where, state=State.RETRY, worker=None, error=error, **values
    )


def _move(connection: Connection, where: Any, **values: Any) -> bool:
    return connection.execute(update(job).where(where).values(**values)).rowcount == 1


def as_json(value: Any) -> Any:
    """Return ``value`` if the ledger can hold it; raise :class:`TypeError` or :class:`ValueError` otherwise."""
    return json.loads(json.dumps(value, allow_nan=False))
