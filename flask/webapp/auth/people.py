"""People and tokens: add and remove them. What ``ops/users.sh``, ``ops/tokens.sh`` and the page for administrators do.

Each function takes a connection inside a write transaction. What cannot be done is a :class:`ValueError` whose message
is one plain sentence.
"""

import re
import time

from sqlalchemy import Connection

from jobs.ledger import accounts, tokens
from jobs.ledger.records import Role

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
#: The longest life of a token in days; without any it lives until it is revoked.
MOST_DAYS = 3660


def checked_name(name: str) -> str:
    """Return a name that may be given. Raises :class:`ValueError`."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "A name has 1 to 32 of these characters: a-z, 0-9, dot, hyphen, underscore; a letter or digit first."
        )
    return name


def add(connection: Connection, name: str, role: Role, password_hash: str) -> None:
    """Add somebody who may log in."""
    if not accounts.add(connection, checked_name(name), password_hash, role.word):
        raise ValueError(f"There is somebody called {name} already.")


def give_password(connection: Connection, name: str, password_hash: str) -> None:
    """Give somebody another password, which ends all their sessions."""
    if not accounts.change_password(connection, name, password_hash):
        raise ValueError(f"There is nobody called {name[:64]}.")


def remove(connection: Connection, name: str) -> None:
    """Let somebody in no more. The last administrator stays."""
    everybody = accounts.everybody(connection)
    admins = [account.name for account in everybody if account.role == Role.ADMIN.word]
    if admins == [name]:
        raise ValueError(f"{name} is the only administrator. Add another one first.")
    if not accounts.remove(connection, name):
        raise ValueError(f"There is nobody called {name[:64]}.")


def add_token(connection: Connection, name: str, role: Role, days: float | None) -> str:
    """Make a token for a program, and return it: this is the only time that it can be seen."""
    if days is not None and not 0 < days <= MOST_DAYS:
        raise ValueError(f"A token lives for more than 0 and at most {MOST_DAYS} days.")
    made = tokens.add(connection, checked_name(name), role.word, time.time() + days * 86_400 if days else None)
    if made is None:
        raise ValueError(f"There is a token called {name} already.")
    return made


def remove_token(connection: Connection, name: str) -> None:
    """Let nobody in by that token any more."""
    if not tokens.remove(connection, name):
        raise ValueError(f"There is no token called {name[:64]}.")
