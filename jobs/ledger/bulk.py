"""Jobs that match a filter, all of them: to be cancelled or run again, some hundred in each transaction."""

import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, exists, func, select

from jobs.catalogue import JOB_TYPES, CancelFilter, RetryFilter
from jobs.ledger import queries
from jobs.ledger.database import take_turn
from jobs.ledger.records import NewJob
from jobs.ledger.schema import job
from jobs.states import ENDED, RETRYABLE, State

#: Jobs in one transaction: short enough to keep nobody waiting.
CHUNK = 500


def matching(connection: Connection, chosen: CancelFilter | RetryFilter, by: str) -> Sequence[int]:
    """Return the ``seq`` of all jobs that can be cancelled, or run again, and match; in order of acceptance.

    ``by`` is the id of the job that asks: only jobs that were accepted before it count, and none that act on others.

    Of a group of failures, jobs that were run again before are left out. Those that fail again are in the same group:
    so without this, the group would be twice as large each time that all of it is run again.
    """
    before = select(job.c.seq).where(job.c.id == by).scalar_subquery()
    statement = select(job.c.seq).where(_matches(chosen, before), job.c.seq < before)
    return connection.execute(statement).scalars().all()


def count(connection: Connection, chosen: CancelFilter | RetryFilter) -> int:
    """Count the jobs that would be cancelled, or run again, if somebody asked for it now."""
    return connection.execute(select(func.count()).where(_matches(chosen))).scalar_one()


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


def _matches(chosen: CancelFilter | RetryFilter, before: ScalarSelect[int] | None = None) -> ColumnElement[bool]:
    """Return the condition that a job matches; retries count as made if their ``seq`` is less than ``before``."""
    possible = RETRYABLE if isinstance(chosen, RetryFilter) else tuple(state for state in State if state not in ENDED)
    conditions: list[ColumnElement[bool]] = [
        job.c.state.in_([State(name) for name in chosen.status] if chosen.status else possible),
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
