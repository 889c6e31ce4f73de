"""Adds up what has become of jobs, every few seconds, for :mod:`jobs.ledger.summaries`: a duty of each tick."""

import time

from jobs.ledger import summaries
from jobs.ledger.database import ledger

#: Seconds between two looks.
EVERY = 5.0
#: Seconds that one look may take, when there is much to catch up with.
BUDGET = 0.25


class Summing:
    """Remembers when it looked last, and how far it came.

    A worker notes when a job has ended, and then waits for its turn to write that. So a look adds up only what ended
    before the look before. That one could write, so all who waited then have had their turn by now. What is written
    later all the same, because a clock is wrong or a disk was full, is in no summary.
    """

    def __init__(self) -> None:
        #: Up to when all jobs that have ended are added up, in seconds since the epoch: these may be removed.
        self.until = 0.0
        #: What ended until then has been written; ``None`` while that is not known.
        self._written_until: float | None = None
        self._next_look = 0.0

    def look(self) -> None:
        """Add up, if it is time to. Raises :class:`sqlalchemy.exc.SQLAlchemyError`."""
        began = time.monotonic()
        if began < self._next_look:
            return
        now = time.time()
        until, self._written_until = self._written_until, None
        with ledger().writing(durable=False):
            pass  # it can be written
        done = until is None
        while until is not None and not done and time.monotonic() < began + BUDGET:
            self.until, done = summaries.add_up(ledger(), until)
        self._written_until = now if done else until
        if done:
            self._next_look = began + EVERY
