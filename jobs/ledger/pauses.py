"""Paused queues: the table ``paused_queue``. What says whether a job may start is here, for all who start one."""

import time

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select

from jobs.catalogue import JOB_TYPES
from jobs.ledger.schema import job, paused_queue

#: Condition that a job may start: its queue is not paused, or its work is to act on other jobs.
MAY_START: ColumnElement[bool] = or_(
    job.c.queue.not_in(select(paused_queue.c.name)),
    job.c.type.in_([name for name, job_type in JOB_TYPES.items() if job_type.control]),
)


def pause(connection: Connection, queue: str) -> None:
    """Have no job of a queue started from now on. What runs goes on."""
    if connection.dialect.name == "postgresql":
        # A claim has looked into the table, and so holds it until its commit: wait for those that did not see the row.
        connection.exec_driver_sql("LOCK TABLE paused_queue IN ACCESS EXCLUSIVE MODE")
    if queue not in paused(connection):
        connection.execute(insert(paused_queue).values(name=queue, paused_at=time.time()))


def resume(connection: Connection, queue: str) -> None:
    """Have the jobs of a queue started again."""
    connection.execute(delete(paused_queue).where(paused_queue.c.name == queue))


def paused(connection: Connection) -> set[str]:
    """Return the names of the queues that are paused."""
    return set(connection.execute(select(paused_queue.c.name)).scalars())
