"""Tries to log in that failed: the table ``login_failure``. The more there were, the longer the next one has to wait.

Counted twice, by account and by address: one password tried on many accounts is slowed, and so are many addresses that
try one account. The wait for an account is shorter, because by it a stranger keeps its owner out.
"""

import time
from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select, update

from jobs.ledger.database import take_turn
from jobs.ledger.schema import login_failure

#: Failures that cost nothing: people mistype.
FREE = 4
#: The longest wait in seconds, by account and by address.
LONGEST = {"account": 60.0, "address": 900.0}
#: Seconds after the last failure when all of them are forgotten.
FORGOTTEN = 3600.0


def subjects(name: str, address: str) -> list[str]:
    """Return what a try is counted for."""
    return [f"account {name[:64]}", f"address {address}"]


def wait(connection: Connection, counted_for: Iterable[str]) -> float:
    """Return for how many seconds no further try is allowed; 0 if one is."""
    now = time.time()
    longest = 0.0
    for row in connection.execute(select(login_failure).where(login_failure.c.subject.in_(list(counted_for)))):
        if row.last_at > now - FORGOTTEN and row.times > FREE:
            pause = min(2.0 ** min(row.times - FREE, 20), LONGEST[row.subject.partition(" ")[0]])
            longest = max(longest, row.last_at + pause - now)
    return longest


def failed(connection: Connection, counted_for: Iterable[str]) -> None:
    """Count a try that failed, and forget old ones."""
    take_turn(connection)
    now = time.time()
    connection.execute(delete(login_failure).where(login_failure.c.last_at <= now - FORGOTTEN))
    for subject in counted_for:
        one_more = update(login_failure).where(login_failure.c.subject == subject)
        if connection.execute(one_more.values(times=login_failure.c.times + 1, last_at=now)).rowcount == 0:
            connection.execute(insert(login_failure).values(subject=subject, times=1, last_at=now))


def succeeded(connection: Connection, counted_for: Iterable[str]) -> None:
    """Forget the failures of an account whose owner is in. Those of an address stay: others may try from there."""
    mine = [subject for subject in counted_for if subject.startswith("account ")]
    connection.execute(delete(login_failure).where(login_failure.c.subject.in_(mine)))
