"""What has changed in the ledger since the last look.

The database tells in microseconds whether others have written: by SQLite's ``data_version``, and on PostgreSQL by the
snapshot, which says what transactions have ended. Only then are the changed rows read: new rows, rows of running jobs,
rows that ended. Each of these has an index already, so that following jobs costs nothing when jobs are written.
(PostgreSQL's ``NOTIFY`` would cost each of these writers something: all who notify commit one after the other.)
"""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from jobs.ledger import queries
from jobs.ledger.records import Job

#: Most changed jobs that are told one by one. When there are more, a subscriber is told to load its list again.
LARGEST_CHANGE = 500
#: Seconds that two looks overlap. A job that was accepted before a look may be committed after it.
OVERLAP = 5.0

#: Changed jobs, in order of acceptance, or ``None`` for "too many: load the list again".
Change = Sequence[Job] | None


class Feed:
    """Looks again and again over one connection: its ``data_version`` is about what others have written meanwhile."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = queries.data_version(connection)
        # How the jobs are now. What changed before that is not news.
        self._known = self._signatures(changed_since(connection, time.time()) or [])

    def look(self) -> Change:
        """Return what has changed since the last look."""
        version = queries.data_version(self._connection)
        if version == self._version:
            return []
        self._version = version
        rows = changed_since(self._connection, time.time())
        if rows is None:
            self._known = {}
            return None
        before, self._known = self._known, self._signatures(rows)
        return [row for row in rows if before.get(row.id) != self._known[row.id]]

    @staticmethod
    def _signatures(rows: Sequence[Job]) -> dict[str, tuple[Any, ...]]:
        return {row.id: (row.state, row.progress, row.attempts, row.info) for row in rows}


def changed_since(connection: Connection, moment: float) -> Change:
    """Return the jobs that may have changed after that time (seconds since the epoch)."""
    return queries.touched_since(connection, moment - OVERLAP, LARGEST_CHANGE)
