"""The attempts of a job that ended in another one: the table ``attempt``. The job's own row has the newest only."""

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, insert, literal, select

from jobs.ledger.records import Attempt
from jobs.ledger.schema import attempt, job


def remember(connection: Connection, where: ColumnElement[bool], error: str) -> bool:
    """Write down the present attempt of the job that the condition on ``job`` finds, as ended now; ``False`` if none.

    The job is locked from then on, so that it goes on to fit the condition.
    """
    present = select(
        job.c.id, job.c.attempts, job.c.worker, job.c.started_at, literal(time.time()), literal(error)
    ).where(where)
    remembered = insert(attempt).from_select(attempt.c.keys(), present.with_for_update())
    return connection.execute(remembered.returning(attempt.c.number)).first() is not None


def past(connection: Connection, job_id: str) -> list[Attempt]:
    """Return the past attempts of a job, first to last."""
    rows = connection.execute(select(attempt).where(attempt.c.job_id == job_id).order_by(attempt.c.number))
    return [Attempt(**row._mapping) for row in rows]


def remove(connection: Connection, job_ids: Sequence[str]) -> None:
    """Delete the past attempts of these jobs."""
    connection.execute(delete(attempt).where(attempt.c.job_id.in_(job_ids)))
