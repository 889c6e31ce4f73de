"""What has changed in the ledger since the last look.

SQLite's ``data_version`` tells in microseconds whether another connection has written; only then are the changed rows
read, over the indexes that are there anyway: new rows, rows of running jobs, rows that ended. So following jobs costs
their writers nothing.
"""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from jobs.ledger import queries
from jobs.ledger.records import Job

#: Most changed jobs that are told one by one; beyond that a viewer is told to load its list again.
LARGEST_CHANGE = 500
#: Seconds that looks overlap, for commits that were under way.
OVERLAP = 5.0

#: Changed jobs, in order of acceptance, or ``None`` for "too many: load the list again".
Change = Sequence[Job] | None


class Feed:
    """Looks again and again over one connection: ``data_version`` compares with that connection's own past."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = queries.data_version(connection)
        # How the jobs are now; viewers ask by themselves for what was before.
        self._known = self._signatures(since(connection, time.time()) or [])

    def look(self) -> Change:
        """Return what has changed since the last look."""
        version = queries.data_version(self._connection)
        if version is not None and version == self._version:
            return []
        self._version = version
        rows = since(self._connection, time.time())
        if rows is None:
            self._known = {}
            return None
        before, self._known = self._known, self._signatures(rows)
        return [row for row in rows if before.get(row.id) != self._known[row.id]]

    @staticmethod
    def _signatures(rows: Sequence[Job]) -> dict[str, tuple[Any, ...]]:
        return {row.id: (row.state, row.progress, row.attempts, row.info) for row in rows}


def since(connection: Connection, moment: float) -> Change:
    """Return the jobs that may have changed after that time (seconds since the epoch)."""
    return queries.touched_since(connection, moment - OVERLAP, LARGEST_CHANGE)
