"""What changes in the ledger, told to any number of viewers at the cost of one.

A single thread in each web process watches while anybody listens. SQLite's ``data_version`` tells in microseconds
whether another connection has written; only then are the changed rows read, over the indexes that are there anyway: new
rows, rows of running jobs, rows that ended. So following jobs costs their writers nothing.
"""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger import queries
from jobs.ledger.database import Ledger, ledger

#: Seconds between two looks.
INTERVAL = 0.25
#: Most changed jobs that are told one by one; beyond that a viewer is told to load its list again.
LARGEST_CHANGE = 500
#: Seconds that looks overlap, for commits that were under way.
OVERLAP = 5.0

#: Changed rows, or ``None`` for "too many: load the list again".
Change = Sequence[Row[Any]] | None


class Feed:
    """Watches the ledger for its subscribers."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._subscribers: set[queue.SimpleQueue[Change]] = set()
        self._changed = threading.Condition()
        self._known: dict[str, tuple[Any, ...]] = {}
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    @contextmanager
    def subscribed(self) -> Iterator[queue.SimpleQueue[Change]]:
        """Yield a queue that gets every change from now on."""
        own: queue.SimpleQueue[Change] = queue.SimpleQueue()
        with self._changed:
            self._subscribers.add(own)
            self._changed.notify()
        try:
            yield own
        finally:
            with self._changed:
                self._subscribers.discard(own)

    def since(self, moment: float) -> Change:
        """Return the jobs that may have changed after that time, for a viewer who was away."""
        with self._ledger.reading() as connection:
            rows = queries.touched_since(connection, moment - OVERLAP, LARGEST_CHANGE + 1)
        return rows if len(rows) <= LARGEST_CHANGE else None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._subscribers)
            try:
                with self._ledger.reading() as connection:
                    self._watch(connection)
            except SQLAlchemyError:
                time.sleep(1)

    def _watch(self, connection: Connection) -> None:
        """Look as long as anybody listens, on one connection: ``data_version`` compares with its own past."""
        version = None
        self._known = {}
        first = True
        while self._subscribers:
            now = queries.data_version(connection)
            if now is None or now != version:
                version = now
                change = self._look(connection)
                # The first look only learns what there is; viewers ask for what was before by themselves.
                if not first and (change is None or change):
                    with self._changed:
                        for subscriber in self._subscribers:
                            subscriber.put(change)
                first = False
            time.sleep(INTERVAL)

    def _look(self, connection: Connection) -> Change:
        rows = queries.touched_since(connection, time.time() - OVERLAP, LARGEST_CHANGE + 1)
        if len(rows) > LARGEST_CHANGE:
            self._known = {}
            return None
        seen = {row.id: (row.state, row.progress, row.attempts, row.info) for row in rows}
        changed = [row for row in rows if self._known.get(row.id) != seen[row.id]]
        self._known = seen
        return changed


@cache
def feed() -> Feed:
    """Return this process's feed; its thread starts with the first viewer, hence after Gunicorn's fork."""
    return Feed(ledger())
