"""Waiting for PostgreSQL while it is renewed, or while another one of three takes over."""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

#: Seconds between two attempts.
_PAUSE = 0.1


class Absence:
    """Connects to a server, and while there is none that takes writes, tries again for a while.

    The while begins when one thread of the process finds that nobody is there. Once it is over, each attempt fails at
    once: so what asks later waits no longer than what asked first.
    """

    def __init__(self, patience: float, failure: type[Exception]) -> None:
        """Be patient for so many seconds with attempts that raise this exception."""
        self._patience = patience
        self._failure = failure
        self._since: float | None = None

    def connect(self, attempt: Callable[[], T]) -> T:
        """Return what ``attempt`` returns. Raises its exception when it fails for too long."""
        while True:
            try:
                connection = attempt()
            except self._failure:
                now = time.monotonic()
                since = self._since = self._since or now
                if now - since > self._patience:
                    raise
                time.sleep(_PAUSE)
            else:
                self._since = None
                return connection


def was_lost(error: BaseException | None) -> bool:
    """Tell whether a statement failed because its server has ended, or the way to it."""
    return isinstance(error, DBAPIError) and error.connection_invalidated
