"""Idempotency keys: the table ``idempotency``."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Row, delete, select

from jobs.ledger import upsert
from jobs.ledger.records import IdempotencyKey, KeyReused
from jobs.ledger.schema import idempotency


def find(connection: Connection, key: IdempotencyKey) -> str | None:
    """Return the id of the job that a key stands for; ``None`` for a new key.

    Raises :class:`KeyReused` if the key came before with another request.
    """
    known = connection.execute(select(idempotency).where(idempotency.c.key == key.text)).first()
    return _job_of(known, key) if known is not None else None


def take(connection: Connection, key: IdempotencyKey, job_id: str, created_at: float) -> str:
    """Have a new key stand for a job; return the id of the job that the key stands for, this one or an earlier one.

    Of several that bring the same key at the same moment one is the first, and the others wait for what becomes of it.
    Raises :class:`KeyReused` if the key came before with another request.
    """
    new = {"key": key.text, "fingerprint": key.fingerprint, "job_id": job_id, "created_at": created_at}
    return _job_of(connection.execute(_take(connection.dialect.name), new).one(), key)


def _job_of(known: Row[Any], key: IdempotencyKey) -> str:
    if known.fingerprint != key.fingerprint:
        raise KeyReused(key.text)
    return str(known.job_id)


@cache
def _take(dialect: str) -> Executable:
    """Return the statement that writes a row, or leaves the one that is there as it is, and returns that."""
    new = upsert.insert(dialect, idempotency)
    # To set what is there already makes it a row that was written, and so one that is returned.
    kept = new.on_conflict_do_update(index_elements=[idempotency.c.key], set_={"key": new.excluded.key})
    return kept.returning(idempotency)


def expire(connection: Connection, created_before: float, limit: int) -> int:
    """Delete up to ``limit`` keys from before that time; return how many."""
    old = select(idempotency.c.key).where(idempotency.c.created_at < created_before).limit(limit)
    return connection.execute(delete(idempotency).where(idempotency.c.key.in_(old))).rowcount
