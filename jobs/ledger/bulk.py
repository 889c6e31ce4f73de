"""Jobs that match a filter, all of them: to be cancelled or run again, some hundred in each transaction."""

import time
import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from jobs.catalogue import JOB_TYPES, CancelFilter, RetryFilter
from jobs.ledger import queries, search
from jobs.ledger.database import take_turn
from jobs.ledger.records import NewJob
from jobs.ledger.schema import job
from jobs.question import Question, read
from jobs.states import ENDED, RETRYABLE, State

#: Jobs in one transaction: short enough to keep nobody waiting.
CHUNK = 500
#: Seconds that somebody waits for the number of jobs that fit some words.
COUNT_FOR = 2.0


def matching(connection: Connection, chosen: CancelFilter | RetryFilter, by: str) -> Sequence[int]:
    """Return the ``seq`` of all jobs that can be cancelled, or run again, and match, in any order.

    ``by`` is the id of the job that asks: only jobs that were accepted before it count, and none that act on others.
    Times in words are counted back from when it was accepted.

    Of a group of failures, jobs that were run again before are left out. Those that fail again are in the same group:
    so without this, the group would be twice as large each time that all of it is run again.
    """
    asked = connection.execute(select(job.c.seq, job.c.created_at).where(job.c.id == by)).one()
    which = _matches(chosen, asked.seq) & (job.c.seq < asked.seq)
    return search.every(connection, _question(chosen, asked.created_at), which) or []


def count(connection: Connection, chosen: CancelFilter | RetryFilter) -> int | None:
    """Count the jobs that would be cancelled, or run again, if somebody asked for it now.

    ``None`` if words are looked for in so many jobs that it takes longer than :data:`COUNT_FOR` seconds.
    """
    if chosen.q is None:
        return connection.execute(select(func.count()).where(_matches(chosen))).scalar_one()
    found = search.every(connection, _question(chosen, time.time()), _matches(chosen), COUNT_FOR)
    return None if found is None else len(found)


def chunks(seqs: Sequence[int]) -> Iterator[tuple[Sequence[int], int]]:
    """Yield them some hundred at a time, each time with the number of those that are done when these are."""
    in_order = sorted(seqs)
    for start in range(0, len(in_order), CHUNK):
        part = in_order[start : start + CHUNK]
        yield part, start + len(part)


def again(connection: Connection, seqs: Sequence[int], by: str) -> list[NewJob]:
    """Return jobs like these, given by their ``seq``, as new ones; without those that ``by`` has made before.

    ``by`` is the id of the job that runs them again. The new ids follow from it, so that a second run of it, after its
    worker has died, makes none twice.
    """
    take_turn(connection)
    columns = (job.c.id, job.c.type, job.c.queue, job.c.params, job.c.priority)
    wanted = connection.execute(select(job.c.request_id, job.c.submitted_by).where(job.c.id == by)).first()
    rows = connection.execute(select(*columns).where(job.c.seq.in_(seqs)).order_by(job.c.seq))
    new = [
        NewJob(
            id=str(uuid.uuid5(uuid.UUID(by), row.id)),
            type=row.type,
            queue=row.queue,
            params=row.params,
            priority=row.priority,
            request_id=wanted.request_id if wanted else None,
            submitted_by=wanted.submitted_by if wanted else None,
            retry_of=row.id,
        )
        for row in rows
    ]
    there = set(connection.execute(select(job.c.id).where(job.c.id.in_([each.id for each in new]))).scalars())
    return [each for each in new if each.id not in there]


def _states(chosen: CancelFilter | RetryFilter) -> list[State]:
    """Return the states in which jobs match."""
    if chosen.status:
        return [State(name) for name in chosen.status]
    return [*RETRYABLE] if isinstance(chosen, RetryFilter) else [state for state in State if state not in ENDED]


def _question(chosen: CancelFilter | RetryFilter, now: float) -> Question:
    """Return what the words of a filter look for, of jobs that can match. Without words, all of these fit."""
    return read(chosen.q or "", now).narrowed(_states(chosen), chosen.task_type, None)


def _matches(chosen: CancelFilter | RetryFilter, before: int | None = None) -> ColumnElement[bool]:
    """Return the condition that a job matches, but for words.

    Retries count as made if their ``seq`` is less than ``before``.
    """
    conditions: list[ColumnElement[bool]] = [
        job.c.state.in_(_states(chosen)),
        job.c.type.not_in([name for name, job_type in JOB_TYPES.items() if job_type.control]),
    ]
    if chosen.task_type is not None:
        conditions.append(job.c.type == chosen.task_type)
    if chosen.queue is not None:
        conditions.append(job.c.queue == chosen.queue)
    if chosen.created_from is not None:
        conditions.append(job.c.created_at >= chosen.created_from.timestamp() - queries.ROUNDING)
    if chosen.created_to is not None:
        conditions.append(job.c.created_at < chosen.created_to.timestamp() - queries.ROUNDING)
    if chosen.task_ids is not None:
        conditions.append(job.c.id.in_(chosen.task_ids))
    if isinstance(chosen, CancelFilter) and chosen.scheduled is not None:
        conditions.append(queries.is_scheduled(chosen.scheduled))
    if isinstance(chosen, RetryFilter) and chosen.failure is not None:
        retry = job.alias("retry")
        done = exists().where(retry.c.retry_of == job.c.id)
        conditions += [job.c.failure == chosen.failure, ~(done if before is None else done.where(retry.c.seq < before))]
    return and_(*conditions)
