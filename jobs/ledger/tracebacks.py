"""The tracebacks of jobs that have failed: the table ``traceback``. It is apart, because most jobs have none."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from jobs.ledger.schema import traceback


def add(connection: Connection, job_id: str, text: str) -> None:
    """Write the traceback of a job that has just failed."""
    connection.execute(insert(traceback).values(job_id=job_id, text=text))


def find(connection: Connection, job_id: str) -> str | None:
    """Return the traceback of a job, if it has one."""
    return connection.execute(select(traceback.c.text).where(traceback.c.job_id == job_id)).scalar()


def remove(connection: Connection, job_ids: Sequence[str]) -> None:
    """Delete the tracebacks of these jobs."""
    connection.execute(delete(traceback).where(traceback.c.job_id.in_(job_ids)))
