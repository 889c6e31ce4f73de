"""What programs identify themselves with: the table ``token``, which has only hashes."""

import hashlib
import secrets
import time
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from jobs.ledger.records import Token
from jobs.ledger.schema import token

#: What each token begins with: so people, and programs that look for secrets, know one when they see it.
PREFIX = "warren_"
#: Seconds that ``last_used_at`` may be behind.
USED_EVERY = 60.0


def add(connection: Connection, name: str, role: str, expires_at: float | None) -> str | None:
    """Make a token and return it: only now, for the table has its hash. ``None`` if the name is taken."""
    if connection.execute(select(token.c.name).where(token.c.name == name)).first() is not None:
        return None
    made = PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        insert(token).values(name=name, digest=digest(made), role=role, created_at=time.time(), expires_at=expires_at)
    )
    return made


def find(connection: Connection, given: str) -> Token | None:
    """Return what is known of a token that somebody has shown, also when it has expired; ``None`` if it is unknown."""
    row = connection.execute(select(token).where(token.c.digest == digest(given))).first()
    return _token(row) if row is not None else None


def all_of_them(connection: Connection) -> list[Token]:
    """Return all tokens, by name."""
    return [_token(row) for row in connection.execute(select(token).order_by(token.c.name))]


def note_use(connection: Connection, name: str) -> None:
    """Note that a token was used just now."""
    connection.execute(update(token).where(token.c.name == name).values(last_used_at=time.time()))


def remove(connection: Connection, name: str) -> bool:
    """Delete a token; ``False`` if there is none of that name."""
    return connection.execute(delete(token).where(token.c.name == name)).rowcount == 1


def digest(given: str) -> str:
    """Return the hash by which the table knows a token."""
    return hashlib.sha256(given.encode()).hexdigest()


def _token(row: Row[Any]) -> Token:
    return Token(**row._mapping)
