"""Passwords, by argon2 with the parameters that OWASP's "Password Storage Cheat Sheet" gives (19 MiB, two passes)."""

import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: Characters that a password has at least (NIST SP 800-63B) and at most.
SHORTEST, LONGEST = 12, 1024

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each hash takes its memory and a processor: many tries at once are not to take those of the whole container.
_one_at_a_time = threading.Lock()


def hash_of(password: str) -> str:
    """Return what is kept of a password. Raises :class:`ValueError` for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"A password has {SHORTEST} to {LONGEST} characters.")
    with _one_at_a_time:
        return _hasher.hash(password)


def is_right(password: str, kept: str | None) -> bool:
    """Tell whether it is the password of which that was kept.

    Without anything kept, which is when there is no such account, it takes as long: nobody learns which accounts exist.
    """
    with _one_at_a_time:
        try:
            return _hasher.verify(kept or _of_nobody(), password[:LONGEST]) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def new_password() -> str:
    """Return a random password."""
    return secrets.token_urlsafe(18)


@cache
def _of_nobody() -> str:
    """Return what is kept of a password that nobody has. Made when it is needed: most stacks have no login."""
    return _hasher.hash(new_password())
