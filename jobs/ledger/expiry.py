"""Removing what is old or not wanted any more, a little at a time: however much there is, nobody waits for it."""

import time
from collections.abc import Callable, Iterator

from sqlalchemy import Connection

from jobs.ledger import audit, keys, moves
from jobs.ledger.database import Ledger

#: Jobs removed in the first transaction, and in the largest.
FIRST, LARGEST = 10, 200
#: Seconds that a transaction may keep other writers waiting. If one takes longer, the next one is smaller.
HOLD = 0.02


def remove_old(ledger: Ledger, ended_before: float, budget: float, *, audited_before: float = 0) -> int:
    """Remove what is older than that, for about ``budget`` seconds; return how many jobs, keys and audit entries."""

    def remove(connection: Connection, limit: int) -> int:
        removed = moves.expire(connection, ended_before, limit) + keys.expire(connection, ended_before, limit)
        return removed + audit.expire(connection, audited_before, limit)

    return sum(_little_by_little(ledger, remove, budget))


def remove_failed(ledger: Ledger, failure: str, failed_before: float) -> Iterator[int]:
    """Remove the jobs of a group that failed before that time; yield after each transaction how many went by it."""

    def remove(connection: Connection, limit: int) -> int:
        return moves.delete_failed(connection, failure, failed_before, limit)

    return _little_by_little(ledger, remove)


def _little_by_little(
    ledger: Ledger, remove: Callable[[Connection, int], int], budget: float = float("inf")
) -> Iterator[int]:
    """Call ``remove(connection, limit)`` until less than the limit was there, for about ``budget`` seconds.

    How many jobs can be removed in a moment depends on the disk and on what belongs to each job. So the transactions
    start small, and grow while they are short. After each comes a pause of the same length, for others. The commits are
    not durable: what a power cut brings back is removed again.
    """
    until = time.monotonic() + budget
    limit = FIRST
    while True:
        with ledger.writing(durable=False) as connection:
            began = time.monotonic()
            removed = remove(connection, limit)
        now = time.monotonic()
        yield removed
        if removed < limit or now > until:
            return
        took = now - began
        limit = min(2 * limit, LARGEST) if took < HOLD / 2 else max(limit // 2, 1) if took > HOLD else limit
        time.sleep(took)
