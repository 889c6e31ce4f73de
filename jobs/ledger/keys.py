"""Idempotency keys: the table ``idempotency``."""

from sqlalchemy import Connection, delete, insert, select

from jobs.ledger.records import IdempotencyKey, KeyReused
from jobs.ledger.schema import idempotency


def find(connection: Connection, key: IdempotencyKey) -> str | None:
    """Return the id of the job that a key stands for; ``None`` for a new key.

    Raises :class:`KeyReused` if the key came before with another request.
    """
    known = connection.execute(select(idempotency).where(idempotency.c.key == key.text)).first()
    if known is None:
        return None
    if known.fingerprint != key.fingerprint:
        raise KeyReused(key.text)
    return str(known.job_id)


def add(connection: Connection, key: IdempotencyKey, job_id: str, created_at: float) -> None:
    """Remember which job a key stands for."""
    connection.execute(
        insert(idempotency).values(key=key.text, fingerprint=key.fingerprint, job_id=job_id, created_at=created_at)
    )


def expire(connection: Connection, created_before: float, limit: int) -> int:
    """Delete up to ``limit`` keys from before that time; return how many."""
    old = select(idempotency.c.key).where(idempotency.c.created_at < created_before).limit(limit)
    return connection.execute(delete(idempotency).where(idempotency.c.key.in_(old))).rowcount
