"""Removing what is old, a little at a time: however much there is, nobody waits for it."""

import time

from jobs.ledger import moves
from jobs.ledger.database import Ledger

#: Jobs removed in one transaction. Their rows and index entries lie all over the file, about a page for each.
CHUNK = 100


def remove_old(ledger: Ledger, ended_before: float, budget: float) -> int:
    """Remove what ended before that time, for about ``budget`` seconds; return how many jobs and keys went.

    Others get at least half of the time: after each transaction comes a pause as long as it took. The commits are not
    durable, since what a power cut brings back is removed again.
    """
    until = time.monotonic() + budget
    total = 0
    while True:
        began = time.monotonic()
        with ledger.writing(durable=False) as connection:
            removed = moves.expire(connection, ended_before, CHUNK)
        total += removed
        now = time.monotonic()
        if removed < CHUNK or now > until:
            return total
        time.sleep(now - began)
