"""Questions about jobs. Each takes any connection, and answers in a time that does not grow with the table."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)

from jobs.ledger.pauses import MAY_START
from jobs.ledger.records import RELAY_GRACE, DueJob, Job
from jobs.ledger.schema import attempt, job
from jobs.question import ANYTHING, Question
from jobs.states import RUNNING, WAITING, State

#: The API shows times to the microsecond, so a job is from the moment that is shown, give or take half of one.
ROUNDING = 5e-7
#: Retries of a job that are shown.
MOST_RETRIES = 20
#: Jobs among which those of one worker are looked for: the last ones that ended.
LAST_ENDED = 1000
#: Jobs among which the one that has waited longest is looked for.
FIRST_IN_LINE = 1000


def find(connection: Connection, job_id: str) -> Job | None:
    """Return one job, if there is one with that id."""
    if "\0" in job_id:  # PostgreSQL refuses the very question
        return None
    row = connection.execute(select(job).where(job.c.id == job_id)).first()
    return _job(row) if row is not None else None


def which_exist(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Return those of the ids that jobs have."""
    return set(connection.execute(select(job.c.id).where(job.c.id.in_(job_ids))).scalars())


def page(
    connection: Connection,
    question: Question = ANYTHING,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    floor: int | None = None,
    failure: str | None = None,
) -> list[Job]:
    """Return up to ``limit`` jobs, newest first; ``before`` is the ``seq`` of the last job of the page before.

    With ``after``, the ``seq`` of the first job of another page, those that were accepted next after it. None has a
    smaller ``seq`` than ``floor``.

    Of the question only states, kinds and times count: :mod:`jobs.ledger.search` knows the rest. ``failure`` is the key
    of a group of failed jobs.
    """
    in_states, of_types = question.states, question.kinds
    newest = select(job).order_by(job.c.seq.desc() if after is None else job.c.seq).limit(limit)
    if before is not None:
        newest = newest.where(job.c.seq < before)
    if after is not None:
        newest = newest.where(job.c.seq > after)
    if floor is not None:
        newest = newest.where(job.c.seq >= floor)
    newest = newest.where(*_times(question))
    if failure is not None:
        # All jobs of a group have one state and one kind. So other filters fit all of them or none.
        if in_states is not None and State.FAILURE not in in_states:
            return []
        if of_types is not None and _kind_of_group(connection, failure) not in of_types:
            return []
        newest = newest.where(job.c.failure == failure)
    elif question.scheduled:
        if in_states is not None and State.PENDING not in in_states:
            return []
        if of_types is not None:
            newest = newest.where(job.c.type.in_(of_types))
    elif in_states is not None or of_types is not None:
        chosen = in_states if in_states is not None else tuple(State)
        types = of_types if of_types is not None else _types(connection, chosen)
        if not (chosen and types):
            return []
        newest = newest.where(job.c.seq.in_(_newest_of(newest, chosen, types)))
    found = _jobs(connection.execute(newest))
    return found if after is None else found[::-1]


def conditions(question: Question) -> Iterator[ColumnElement[bool]]:
    """Yield what a question says of states, kinds and times."""
    if question.states is not None:
        yield job.c.state.in_(question.states)
    if question.kinds is not None:
        yield job.c.type.in_(question.kinds)
    yield from _times(question)


def _times(question: Question) -> Iterator[ColumnElement[bool]]:
    if question.since is not None:
        yield job.c.created_at >= question.since - ROUNDING
    if question.until is not None:
        yield job.c.created_at < question.until - ROUNDING
    if question.scheduled is not None:
        yield is_scheduled(question.scheduled)


def with_seqs(connection: Connection, seqs: Sequence[int]) -> list[Job]:
    """Return those of these jobs that are there, newest first."""
    return _jobs(connection.execute(select(job).where(job.c.seq.in_(seqs)).order_by(job.c.seq.desc())))


def _kind_of_group(connection: Connection, failure: str) -> str | None:
    """Return the kind that all jobs of a group of failures have."""
    return connection.execute(select(job.c.type).where(job.c.failure == failure).limit(1)).scalar()


def _newest_of(newest: Select[Any], in_states: Sequence[State], types: Sequence[str]) -> CompoundSelect[Any]:
    """Return the ``seq`` of the newest of each state and type, and so of the newest of all of these.

    It is a short walk along the index for each of them; asked for together, the database would sort all that there are.
    Yet it is one statement, or a job that changes its state meanwhile would be seen twice, or not at all.
    """
    walk = newest.with_only_columns(job.c.seq)
    return union_all(
        *(
            select(walk.where(job.c.state == state, job.c.type == type_).subquery().c.seq)
            for state, type_ in product(in_states, types)
        )
    )


def _types(connection: Connection, in_states: Sequence[State]) -> list[str]:
    """Return the types of the jobs in these states, also those that the catalogue does not have (any more).

    One step along the index for each type, from one to the next: a loose index scan.
    """
    found: set[str] = set()
    for state in in_states:
        types = (
            select(func.min(job.c.type).label("type"))
            .where(job.c.state == state)
            .cte(f"types_{state.lower()}", recursive=True)
        )
        following = select(func.min(job.c.type)).where(job.c.state == state, job.c.type > types.c.type)
        types = types.union_all(select(following.scalar_subquery()).where(types.c.type.is_not(None)))
        found.update(connection.execute(select(types.c.type).where(types.c.type.is_not(None))).scalars())
    return sorted(found)


def retries_of(connection: Connection, job_id: str) -> Sequence[str]:
    """Return the ids of the jobs that repeat a job, newest first, at most :data:`MOST_RETRIES`."""
    statement = select(job.c.id).where(job.c.retry_of == job_id).order_by(job.c.seq.desc()).limit(MOST_RETRIES)
    return connection.execute(statement).scalars().all()


def backlog(connection: Connection) -> int:
    """Count the jobs that have not ended."""
    return connection.execute(select(func.count()).where(job.c.ended_at.is_(None))).scalar_one()


def unfinished(connection: Connection) -> dict[str, int]:
    """Count the jobs that have not ended, per queue."""
    statement = select(job.c.queue, func.count().label("jobs")).where(job.c.ended_at.is_(None)).group_by(job.c.queue)
    return _per_queue(connection.execute(statement))


def scheduled(connection: Connection) -> dict[str, int]:
    """Count the jobs whose time has not come, per queue: scheduled ones, and retries during a long back-off."""
    later = time.time() + RELAY_GRACE  # what has just been accepted is due that soon
    statement = select(job.c.queue, func.count().label("jobs")).where(job.c.due_at > later).group_by(job.c.queue)
    return _per_queue(connection.execute(statement))


def count_scheduled(connection: Connection) -> int:
    """Count the jobs that wait for their time."""
    return connection.execute(select(func.count()).where(is_scheduled(True))).scalar_one()


def is_scheduled(wanted: bool) -> ColumnElement[bool]:
    """Return the condition that a job waits for its time, or that it does not; :attr:`Job.scheduled` says the same."""
    later = time.time() + RELAY_GRACE  # what has just been accepted is due that soon
    # Concatenated, so that SQLite looks at the jobs that are due later, and not at all that wait.
    waits = and_(job.c.due_at > later, job.c.state.concat("") == State.PENDING)
    return waits if wanted else or_(job.c.due_at.is_(None), not_(waits))


def due(connection: Connection, limit: int) -> list[DueJob]:
    """Return up to ``limit`` jobs whose time to be published has come: urgent ones, then the longest due first.

    Those of a paused queue wait until it is resumed.
    """
    # Written out, or the database would not know that the index of the urgent jobs has the answer.
    urgent = job.c.priority > literal(0, literal_execute=True)
    found = _due(connection, urgent, limit)
    return found + _due(connection, ~urgent, limit - len(found))


def _due(connection: Connection, which: ColumnElement[bool], limit: int) -> list[DueJob]:
    columns = [job.c[each.name] for each in fields(DueJob)]
    statement = select(*columns).where(job.c.due_at <= time.time(), which, MAY_START).order_by(job.c.due_at)
    return [DueJob(**row._mapping) for row in connection.execute(statement.limit(limit))]


def count_unclaimed(connection: Connection, queue: str, published_before: float) -> int:
    """Count the jobs of a queue that were published before that time and that no worker has claimed."""
    return connection.execute(select(func.count()).where(_unclaimed(queue, published_before))).scalar_one()


def unclaimed(connection: Connection, queue: str, published_before: float, limit: int) -> Sequence[str]:
    """Return the ids of such jobs, at most ``limit``."""
    return connection.execute(select(job.c.id).where(_unclaimed(queue, published_before)).limit(limit)).scalars().all()


def _unclaimed(queue: str, published_before: float) -> ColumnElement[bool]:
    return and_(
        job.c.queue == queue,
        job.c.state.in_(WAITING),
        job.c.ended_at.is_(None),
        job.c.due_at.is_(None),
        job.c.published_at < published_before,
    )


def held_by(connection: Connection, worker_id: str) -> set[str]:
    """Return the ids of the jobs that run in a worker."""
    return set(connection.execute(select(job.c.id).where(job.c.worker == worker_id, _running())).scalars())


def cancelled_at(connection: Connection, job_ids: Sequence[str]) -> dict[str, float]:
    """Return when each of these jobs was cancelled; those that were not are left out."""
    if not job_ids:
        return {}
    statement = select(job.c.id, job.c.ended_at).where(job.c.id.in_(job_ids), job.c.state == State.REVOKED)
    return {row.id: row.ended_at for row in connection.execute(statement)}


def holders(connection: Connection) -> set[str]:
    """Return the ids of the workers that hold a job, registered or not."""
    return set(connection.execute(select(job.c.worker).where(_running()).distinct()).scalars())


def running_by_worker(connection: Connection) -> dict[str, int]:
    """Count the jobs that run, per id of a worker."""
    statement = select(job.c.worker, func.count().label("jobs")).where(_running()).group_by(job.c.worker)
    return {row.worker: row.jobs for row in connection.execute(statement)}


def _running() -> ColumnElement[bool]:
    return and_(job.c.state.in_(RUNNING), job.c.ended_at.is_(None))


def running(connection: Connection) -> list[Job]:
    """Return the jobs that run."""
    return _jobs(connection.execute(select(job).where(_running())))


def ended_last_in(connection: Connection, worker_name: str, limit: int) -> list[Job]:
    """Return the jobs that ended last in workers of that name, newest end first.

    They are looked for among the last :data:`LAST_ENDED` jobs that ended anywhere, so it takes the same time always.
    """
    last = select(job.c.seq, job.c.worker).where(job.c.ended_at.is_not(None)).order_by(job.c.ended_at.desc())
    ended = last.limit(LAST_ENDED).subquery()
    # The id of a worker is its name, a slash and a random part.
    beginning = f"{worker_name}/"
    here = select(ended.c.seq).where(func.substr(ended.c.worker, 1, len(beginning)) == beginning)
    newest = select(job).where(job.c.seq.in_(here)).order_by(job.c.ended_at.desc()).limit(limit)
    return _jobs(connection.execute(newest))


def unfinished_in_states(connection: Connection) -> dict[tuple[State, str], int]:
    """Count the jobs that have not ended, per state and queue."""
    statement = (
        select(job.c.state, job.c.queue, func.count().label("jobs"))
        .where(job.c.ended_at.is_(None))
        .group_by(job.c.state, job.c.queue)
    )
    return {(State(row.state), row.queue): row.jobs for row in connection.execute(statement)}


def count_in_states(connection: Connection, states: Iterable[State]) -> dict[State, int]:
    """Count the jobs in these states. It reads a line of an index for each: 1,000,000 jobs take some 70 ms."""
    statement = select(job.c.state, func.count().label("jobs")).where(job.c.state.in_(states)).group_by(job.c.state)
    return {State(row.state): row.jobs for row in connection.execute(statement)}


def overdue(connection: Connection) -> tuple[int, float]:
    """Count the jobs that should have been published by now; return also how many seconds the first is overdue.

    Those of a paused queue wait until it is resumed.
    """
    now = time.time()
    statement = select(func.count(), func.min(job.c.due_at)).where(job.c.due_at <= now, MAY_START)
    found = connection.execute(statement).one()
    return found[0], now - found[1] if found[0] else 0.0


def longest_wait(connection: Connection, queue: str) -> float:
    """Return for how many seconds the job of a queue has waited that has waited longest and could start now; or 0.

    Jobs are taken in the order in which they were published, so only the first of them are looked at.
    """
    now = time.time()
    ready_at = case(
        (job.c.state == State.RETRY, func.coalesce(job.c.due_at, job.c.published_at)),
        (job.c.run_at > job.c.created_at, job.c.run_at),
        else_=job.c.created_at,
    ).label("ready_at")
    first = select(ready_at).where(job.c.queue == queue).limit(FIRST_IN_LINE)
    lines = [
        # A short walk along an index for each.
        first.where(job.c.due_at <= now).order_by(job.c.due_at),
        *(
            first.where(job.c.state == state, job.c.due_at.is_(None), job.c.ended_at.is_(None)).order_by(job.c.seq)
            for state in WAITING
        ),
    ]
    oldest = [connection.execute(select(func.min(line.subquery().c.ready_at))).scalar() for line in lines]
    return max(0.0, now - min((moment for moment in oldest if moment is not None), default=now))


def newest_seq(connection: Connection) -> int:
    """Return the ``seq`` of the job accepted last, or 0."""
    return connection.execute(select(func.max(job.c.seq))).scalar() or 0


def accepted_after(connection: Connection, seq: int) -> dict[str, int]:
    """Count the jobs accepted after the one with that ``seq``, per queue."""
    statement = select(job.c.queue, func.count().label("jobs")).where(job.c.seq > seq).group_by(job.c.queue)
    return _per_queue(connection.execute(statement))


def accepted_since(connection: Connection, moment: float) -> dict[str, int]:
    """Count the jobs accepted after that time, per queue."""
    return accepted_after(connection, last_before(connection, moment))


def last_before(connection: Connection, moment: float) -> int:
    """Return the ``seq`` of the last job accepted until that time, or 0: a walk back over those accepted since."""
    statement = select(job.c.seq).where(job.c.created_at <= moment).order_by(job.c.seq.desc()).limit(1)
    return connection.execute(statement).scalar() or 0


def ended_after(connection: Connection, moment: float) -> dict[str, int]:
    """Count the jobs that ended after that time, per queue."""
    statement = select(job.c.queue, func.count().label("jobs")).where(job.c.ended_at > moment).group_by(job.c.queue)
    return _per_queue(connection.execute(statement))


def touched_since(connection: Connection, moment: float, limit: int) -> list[Job] | None:
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
    return _jobs(connection.execute(select(job).where(job.c.seq.in_(found)).order_by(job.c.seq)))


def data_version(connection: Connection) -> object:
    """Return what is another value when others have written: a number, or which transactions have ended."""
    sqlite = connection.dialect.name == "sqlite"
    return connection.exec_driver_sql(
        "PRAGMA data_version" if sqlite else "SELECT CAST(pg_current_snapshot() AS text)"
    ).scalar()


def size_on_server(connection: Connection) -> int:
    """Return how many bytes a database of PostgreSQL takes."""
    return int(connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())


def _per_queue(rows: Iterable[Row[Any]]) -> dict[str, int]:
    return {row.queue: row.jobs for row in rows}


def _jobs(rows: Iterable[Row[Any]]) -> list[Job]:
    return [_job(row) for row in rows]


def _job(row: Row[Any]) -> Job:
    return Job(**{**row._mapping, "state": State(row.state)})
