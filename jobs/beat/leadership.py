"""Of several beats one leads, and the others wait for its place.

Two that publish would only publish twice, and two that take samples would take them twice: nothing is lost by it. So it
is enough that nearly always one does the work. On PostgreSQL an advisory lock says which one: the session of the leader
holds it. The server ends the session when the process or its machine is gone, and also when nothing has come from it
for a while: it may be paused. On SQLite there is one machine, and so one beat.
"""

import logging
from contextlib import ExitStack

from sqlalchemy import Connection, func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger.database import Ledger

logger = logging.getLogger(__name__)

#: The advisory lock of PostgreSQL that the leader holds.
LEADER = int.from_bytes(b"beat")
#: Seconds after which a leader that is silent leads no more.
LEASE = 10.0


class Leadership:
    """Whether this beat leads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open = ExitStack()
        self._session: Connection | None = None
        self._has_lock = False
        #: What the last answer was. While the ledger cannot be asked, nobody else can lead either.
        self.is_ours = False

    def seek(self) -> bool:
        """Lead, if nobody else does, and tell whether this one leads. Raises :class:`SQLAlchemyError`.

        To be called more often than :data:`LEASE`.
        """
        led = self.is_ours
        try:
            self.is_ours = self._ledger.file is not None or self._locked()
        except SQLAlchemyError:
            self.leave()
            raise
        if self.is_ours and not led:
            logger.info("this beat leads")
        return self.is_ours

    def leave(self) -> None:
        """End the session, so that another one may lead."""
        self._session, self._has_lock = None, False
        self._open.close()

    def _locked(self) -> bool:
        if self._session is None:
            self._session = self._open.enter_context(self._ledger.apart())
            self._session.exec_driver_sql(f"SET idle_session_timeout = {LEASE * 1000:.0f}")
        # Who has the lock only shows a sign of life: a lock that is taken twice has to be given up twice.
        ask = select(literal(True)) if self._has_lock else select(func.pg_try_advisory_lock(LEADER))
        self._has_lock = bool(self._session.execute(ask).scalar())
        return self._has_lock
