"""Questions to the ledger. Each takes any connection and answers in a time that does not grow with the table."""

import time
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Row, Select, and_, func, select, union_all

from jobs import states
from jobs.catalogue import JOB_TYPES
from jobs.ledger.records import DueJob
from jobs.ledger.schema import attempt, job, sample, worker

#: Jobs that a search by id looks at.
LARGEST_SEARCH = 1000


def find(connection: Connection, job_id: str) -> Row[Any] | None:
    """Return the row of one job."""
    return connection.execute(select(job).where(job.c.id == job_id)).first()


def past_attempts(connection: Connection, job_id: str) -> Sequence[Row[Any]]:
    """Return the attempts of a job that ended in another one, first to last."""
    return connection.execute(select(attempt).where(attempt.c.job_id == job_id).order_by(attempt.c.number)).all()


def page(
    connection: Connection,
    *,
    limit: int,
    before: int | None = None,
    in_states: Sequence[str] | None = None,
    of_type: str | None = None,
    id_prefix: str | None = None,
) -> Sequence[Row[Any]]:
    """Return up to ``limit`` rows, newest first; ``before`` is the ``seq`` of the last row of the page before.

    With an ``id_prefix`` of four characters or more, those whose id starts so.
    """
    if id_prefix is not None:
        rows = [
            row
            for row in _with_id_prefix(connection, id_prefix)
            if (before is None or row.seq < before)
            and (in_states is None or row.state in in_states)
            and (of_type is None or row.type == of_type)
        ]
        return sorted(rows, key=lambda row: row.seq, reverse=True)[:limit]
    newest = select(job).order_by(job.c.seq.desc()).limit(limit)
    if before is not None:
        newest = newest.where(job.c.seq < before)
    if in_states is not None or of_type is not None:
        newest = newest.where(job.c.seq.in_(_newest_of(newest, in_states or states.ALL, of_type)))
    return connection.execute(newest).all()


def _newest_of(newest: Select[Any], in_states: Sequence[str], of_type: str | None) -> CompoundSelect[Any]:
    """Return the ``seq`` of the newest of each state and type, and so of the newest of all of these.

    A short walk along the index for each; asked for together, the database would sort all that there are. Yet in one
    statement, or a job that changes its state meanwhile would be seen twice, or not at all.
    """
    walk = newest.with_only_columns(job.c.seq)
    return union_all(
        *(
            select(walk.where(job.c.state == state, job.c.type == type_).subquery().c.seq)
            for state, type_ in product(in_states, [of_type] if of_type else JOB_TYPES)
        )
    )


def _with_id_prefix(connection: Connection, prefix: str) -> Sequence[Row[Any]]:
    # A range, because SQLite's LIKE ignores case and so cannot use the index. Only so many are looked at.
    statement = select(job).where(job.c.id >= prefix, job.c.id < prefix + "z" * 36).order_by(job.c.id)
    return connection.execute(statement.limit(LARGEST_SEARCH)).all()


def backlog(connection: Connection) -> int:
    """Count the jobs that have not ended."""
    return connection.execute(select(func.count()).where(job.c.ended_at.is_(None))).scalar_one()


def open_counts(connection: Connection) -> dict[str, dict[str, int]]:
    """Count the jobs that have not ended, per queue and state: ``{queue: {state: count}}``."""
    statement = (
        select(job.c.queue, job.c.state, func.count())
        .where(job.c.ended_at.is_(None))
        .group_by(job.c.queue, job.c.state)
    )
    counts: dict[str, dict[str, int]] = {}
    for queue, state, count in connection.execute(statement):
        counts.setdefault(queue, {})[state] = count
    return counts


def due(connection: Connection, limit: int) -> list[DueJob]:
    """Return up to ``limit`` jobs whose time to be published has come, the longest due first."""
    statement = (
        select(job.c.id, job.c.type, job.c.queue, job.c.params, job.c.due_at, job.c.retries)
        .where(job.c.due_at <= time.time())
        .order_by(job.c.due_at)
        .limit(limit)
    )
    return [DueJob(**row._mapping) for row in connection.execute(statement)]


def handed_over(connection: Connection, queue: str, before: float) -> int:
    """Count the jobs of a queue that were published before that time and that no worker has claimed."""
    return connection.execute(select(func.count()).where(_handed_over(queue, before))).scalar_one()


def handed_over_ids(connection: Connection, queue: str, before: float, limit: int) -> Sequence[str]:
    """Return the ids of such jobs, at most ``limit``."""
    return connection.execute(select(job.c.id).where(_handed_over(queue, before)).limit(limit)).scalars().all()


def _handed_over(queue: str, before: float) -> ColumnElement[bool]:
    return and_(
        job.c.queue == queue,
        job.c.state.in_(states.WAITING),
        job.c.ended_at.is_(None),
        job.c.due_at.is_(None),
        job.c.published_at < before,
    )


def claimed_by(connection: Connection, worker_id: str) -> set[str]:
    """Return the ids of the unended jobs that a worker holds."""
    statement = select(job.c.id).where(job.c.worker == worker_id, _running())
    return set(connection.execute(statement).scalars())


def cancelled_at(connection: Connection, job_ids: Sequence[str]) -> dict[str, float]:
    """Return when each of these jobs was cancelled; those that were not are left out."""
    if not job_ids:
        return {}
    statement = select(job.c.id, job.c.ended_at).where(job.c.id.in_(job_ids), job.c.state == states.REVOKED)
    return {row.id: row.ended_at for row in connection.execute(statement)}


def workers(connection: Connection) -> Sequence[Row[Any]]:
    """Return the rows of the workers that are registered."""
    return connection.execute(select(worker).order_by(worker.c.name, worker.c.started_at)).all()


def living(workers: Iterable[Row[Any]], lease: float) -> list[Row[Any]]:
    """Return those of the workers that have given a sign of life within ``lease`` seconds."""
    since = time.time() - lease
    return [worker for worker in workers if worker.seen_at > since]


def holders(connection: Connection) -> set[str]:
    """Return the ids of the workers that hold a job, registered or not."""
    return set(connection.execute(select(job.c.worker).where(_running()).distinct()).scalars())


def _running() -> ColumnElement[bool]:
    return and_(job.c.state.in_(states.RUNNING), job.c.ended_at.is_(None))


def running(connection: Connection) -> Sequence[Row[Any]]:
    """Return ``id``, ``type``, ``worker``, ``started_at`` and ``progress`` of the jobs that run."""
    columns = [job.c[name] for name in ("id", "type", "worker", "started_at", "progress")]
    return connection.execute(select(*columns).where(_running())).all()


def samples(connection: Connection, since: float) -> Sequence[Row[Any]]:
    """Return the samples of the queues taken after that time, oldest first."""
    return connection.execute(select(sample).where(sample.c.at > since).order_by(sample.c.at)).all()


def newest_seq(connection: Connection) -> int:
    """Return the ``seq`` of the job accepted last, or 0."""
    return connection.execute(select(func.max(job.c.seq))).scalar() or 0


def accepted_after(connection: Connection, seq: int) -> dict[str, int]:
    """Count the jobs accepted after the one with that ``seq``, per queue."""
    statement = select(job.c.queue, func.count().label("jobs")).where(job.c.seq > seq).group_by(job.c.queue)
    return {row.queue: row.jobs for row in connection.execute(statement)}


def accepted_since(connection: Connection, moment: float) -> dict[str, int]:
    """Count the jobs accepted after that time, per queue."""
    return accepted_after(connection, _last_before(connection, moment))


def _last_before(connection: Connection, moment: float) -> int:
    """Return the ``seq`` of the last job accepted until that time, or 0: a walk back over those accepted since."""
    statement = select(job.c.seq).where(job.c.created_at <= moment).order_by(job.c.seq.desc()).limit(1)
    return connection.execute(statement).scalar() or 0


def ended_after(connection: Connection, moment: float) -> dict[str, int]:
    """Count the jobs that ended after that time, per queue."""
    statement = select(job.c.queue, func.count().label("jobs")).where(job.c.ended_at > moment).group_by(job.c.queue)
    return {row.queue: row.jobs for row in connection.execute(statement)}


def touched_since(connection: Connection, moment: float, limit: int) -> Sequence[Row[Any]] | None:
    """Return the jobs that were accepted, put back or ended after that time, and those that run.

    In order of acceptance; ``None`` if there are more than ``limit``. A job that only waits does not change.
    """
    put_back = select(attempt.c.job_id).where(attempt.c.ended_at > moment).limit(limit + 1)
    # Only this many of the newest are looked at: times of acceptance have no index, and a moment may be long ago.
    newest = select(job.c.seq, job.c.created_at).order_by(job.c.seq.desc()).limit(limit + 1).subquery()
    seq = select(job.c.seq).limit(limit + 1)
    found: set[int] = set()
    # One question for each index; an OR of them would read the whole table.
    for question in (
        select(newest.c.seq).where(newest.c.created_at > moment),
        seq.where(job.c.ended_at > moment),
        seq.where(_running()),
        seq.where(job.c.id.in_(put_back)),
    ):
        found.update(connection.execute(question).scalars())
        if len(found) > limit:
            return None
    return connection.execute(select(job).where(job.c.seq.in_(found)).order_by(job.c.seq)).all()


def data_version(connection: Connection) -> int | None:
    """Return a number that changes when another connection has written; ``None`` where the database has none."""
    if connection.dialect.name != "sqlite":
        return None
    return connection.exec_driver_sql("PRAGMA data_version").scalar()
