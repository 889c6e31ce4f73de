"""The workers that are registered, and their leases: the table ``worker``."""

import time

from sqlalchemy import Connection, delete, insert, select, update

from jobs.ledger import moves, queries
from jobs.ledger.records import Worker
from jobs.ledger.schema import worker


def register(connection: Connection, worker_id: str, name: str, queues: str, concurrency: int) -> None:
    """Write the row of a worker that starts."""
    now = time.time()
    connection.execute(
        insert(worker).values(
            id=worker_id, name=name, queues=queues, concurrency=concurrency, started_at=now, seen_at=now
        )
    )


def renew_lease(
    connection: Connection, worker_id: str, memory: int | None = None, memory_limit: int | None = None
) -> str | None:
    """Note that a worker lives, and the bytes that its container uses and may use.

    Return the queues that it takes jobs from, as its row has them: empty if it is to take no more. ``None`` if it was
    given up for dead meanwhile.
    """
    now = {"seen_at": time.time(), "memory": memory, "memory_limit": memory_limit}
    statement = update(worker).where(worker.c.id == worker_id).values(now).returning(worker.c.queues)
    return connection.execute(statement).scalar()


def take_no_more(connection: Connection, worker_id: str) -> bool:
    """Have a worker take jobs from no queue any more; tell whether there is such a worker."""
    return connection.execute(update(worker).where(worker.c.id == worker_id).values(queues="")).rowcount == 1


def retire(connection: Connection, worker_id: str, max_deliveries: int, *, stopped: bool = False) -> None:
    """Remove a worker that was stopped or has died, and release the jobs that it still holds."""
    moves.release(connection, queries.held_by(connection, worker_id), worker_id, max_deliveries, stopped=stopped)
    connection.execute(delete(worker).where(worker.c.id == worker_id))


def retire_all(connection: Connection, max_deliveries: int) -> None:
    """Remove all workers, who were stopped with the ledger, and release the jobs that they hold."""
    for worker_id in {*queries.holders(connection), *(found.id for found in registered(connection))}:
        retire(connection, worker_id, max_deliveries, stopped=True)


def registered(connection: Connection) -> list[Worker]:
    """Return the workers that are registered, by name."""
    rows = connection.execute(select(worker).order_by(worker.c.name, worker.c.started_at))
    return [Worker(**row._mapping) for row in rows]


def living(connection: Connection, lease: float) -> list[Worker]:
    """Return those that have given a sign of life within ``lease`` seconds."""
    return [found for found in registered(connection) if found.alive(lease)]
