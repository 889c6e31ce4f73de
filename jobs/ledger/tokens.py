"""What programs identify themselves with: the table ``token``, which has only hashes."""

import hashlib
import secrets
import time
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from jobs.ledger.database import take_turn
from jobs.ledger.records import Allowance, Token
from jobs.ledger.schema import token

#: What each token begins with: so people, and programs that look for secrets, know one when they see it.
PREFIX = "warren_"
#: Seconds that ``last_used_at`` may be behind.
USED_EVERY = 60.0
#: Seconds for which submissions are counted together.
MINUTE = 60.0


def add(connection: Connection, name: str, role: str, expires_at: float | None) -> str | None:
    """Make a token and return it: only now, for the table has its hash. ``None`` if the name is taken."""
    take_turn(connection)
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
    take_turn(connection)
    connection.execute(update(token).where(token.c.name == name).values(last_used_at=time.time()))


def allowance(connection: Connection, name: str, limit: int) -> Allowance:
    """Return what is left to a token that may submit ``limit`` jobs in a minute. A revoked one has nothing left."""
    row = connection.execute(select(token).where(token.c.name == name)).first()
    if row is None:
        return Allowance(limit=limit, left=0, renewed_in=MINUTE)
    over_in = row.minute_began_at + MINUTE - time.time()
    if not 0 < over_in <= MINUTE:  # or the clock was set back
        return Allowance(limit=limit, left=limit, renewed_in=MINUTE)
    return Allowance(limit=limit, left=max(limit - row.submissions, 0), renewed_in=over_in)


def spend(connection: Connection, name: str, jobs: int, limit: int) -> bool:
    """Count jobs that a token submits; ``False``, and nothing is counted, if fewer are left to it."""
    take_turn(connection)
    before = allowance(connection, name, limit)
    if jobs > before.left:
        return False
    values = {"submissions": limit - before.left + jobs, "minute_began_at": time.time() + before.renewed_in - MINUTE}
    connection.execute(update(token).where(token.c.name == name).values(values))
    return True


def remove(connection: Connection, name: str) -> bool:
    """Delete a token; ``False`` if there is none of that name."""
    return connection.execute(delete(token).where(token.c.name == name)).rowcount == 1


def digest(given: str) -> str:
    """Return the hash by which the table knows a token."""
    return hashlib.sha256(given.encode()).hexdigest()


def _token(row: Row[Any]) -> Token:
    return Token(**row._mapping)
