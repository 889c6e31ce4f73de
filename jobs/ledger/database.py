"""The connection to the ledger's database: SQLite by default, PostgreSQL by ``DATABASE_URL``.

SQLite allows one writer at a time. Its own way of waiting (the busy handler) sleeps and tries again, which is where the
slowest answers come from; so writers queue up on a blocking ``flock`` first, which wakes the next one at once. Readers
never wait: the file is in WAL mode.

PostgreSQL has many writers at a time. What all of Warren relies on there: a statement sees what others have committed
before it; an ``UPDATE`` waits for others that change the same row, and then looks again whether its conditions hold.
Whoever looks at rows first, and writes by what it saw, either locks these rows or takes a turn: :func:`take_turn`.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger.engines import connect_to_postgresql, connect_to_sqlite
from jobs.settings import settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: The advisory lock of PostgreSQL that stands for a turn: a number that no other program takes in this database.
TURN = int.from_bytes(b"warren")

#: Where the times of commits are counted: from half a millisecond to as long as a request waits for its commit.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0)


def _commit_times(registry: CollectorRegistry | None) -> Histogram:
    return Histogram(
        "warren_ledger_commit_duration_seconds",
        "How long commits took that have to be on the disk.",
        buckets=BUCKETS,
        registry=registry,
    )


_COMMIT_TIMES = _commit_times(REGISTRY)


class LedgerFileChanged(SQLAlchemyError):
    """The ledger's file is not the one that this process began with: what is written now would be lost."""


class Ledger:
    """Opens connections to one database; cheap to make, safe to share between threads and across ``fork``."""

    def __init__(self, url: str, patience: float = 0) -> None:
        """Describe the database. PostgreSQL may be away for so many seconds until connecting to it fails."""
        self._url = make_url(url)
        self._patience = patience
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._file = Path(self._url.database) if self._sqlite and self._url.database else None
        #: Device and inode of the file, from the first moment on in which it was there.
        self._file_id = self._find_file()
        self._commit_times = _COMMIT_TIMES
        self._engine = self._new_engine()
        self._inherited: list[Engine] = []
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def url(self) -> str:
        """The database's address, with the password if there is one."""
        return self._url.render_as_string(hide_password=False)

    @property
    def file(self) -> Path | None:
        """The database's file, if it is SQLite's."""
        return self._file

    def create(self) -> None:
        """Make an empty SQLite file, unless there is one. Raises :class:`OSError`.

        Nothing else does: a file that is missing at any other time was moved or deleted, and jobs that were accepted
        into a new one would be lost to everybody who still has the old one.
        """
        if self._file is not None:
            self._file.touch()

    def check_file(self) -> None:
        """Raise :class:`LedgerFileChanged` if the file was moved, deleted or replaced since this process began."""
        if self._file is None:
            return
        found = self._find_file()
        if found is None:
            raise LedgerFileChanged(f"The ledger's file is gone: {self._file.name}. Put it back where it was.")
        if self._file_id is None:
            self._file_id = found
        if found != self._file_id:
            raise LedgerFileChanged(
                f"The ledger's file was replaced: {self._file.name}. Put the old one back, or restart all containers."
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection on which each statement is its own short transaction.

        Raises :class:`LedgerFileChanged`, as :meth:`writing` does.
        """
        self.check_file()
        with self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Yield a connection inside a write transaction: committed at the end, rolled back on an exception.

        A durable commit is on disk when this returns. One that is not survives any crash of a process. But the last
        ones may be undone by a power cut, or when another server takes over. Enough for what is found out again.

        On SQLite it waits for other writers of Warren as long as they take: nothing bounds a ``flock`` that waits. Who
        has to answer in time goes through :class:`jobs.ledger.group_commit.GroupCommit`, whose callers have a time
        limit. Raises :class:`sqlalchemy.exc.OperationalError` when somebody locks the database, or on PostgreSQL a row,
        for longer than :data:`jobs.ledger.engines.BUSY_TIMEOUT`, or the disk is full; when :func:`is_deadlock` is true
        of it; and :class:`LedgerFileChanged`.
        """
        with self._writers_lock():
            self.check_file()
            with self._engine.connect() as connection:
                connection.execution_options(durable=durable)
                with connection.begin():
                    yield connection
                    began = time.perf_counter()
                took = time.perf_counter() - began
        if durable:
            self._commit_times.observe(took)

    def insist(self, work: Callable[[Connection], T], patience: float, *, durable: bool = True) -> T:
        """Run ``work(connection)`` in a write transaction, again and again for ``patience`` seconds until it succeeds.

        For processes that nobody waits for: a worker would rather wait for a locked or full disk than lose a result.
        Raises the last :class:`sqlalchemy.exc.SQLAlchemyError`.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                with self.writing(durable=durable) as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                if time.monotonic() > deadline:
                    raise
                logger.warning("the ledger cannot be written, trying again: %s", error)
                time.sleep(0.5)

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        """Yield a connection as :meth:`reading` does, for one user who keeps it: it is closed at the end."""
        with self._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").detach()
            yield connection

    def dispose(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()

    def _find_file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._file) if self._file is not None else None
        except FileNotFoundError:
            return None
        return (found.st_dev, found.st_ino) if found is not None else None

    @contextmanager
    def _writers_lock(self) -> Iterator[None]:
        if self._file is None:
            yield
            return
        descriptor = os.open(f"{self._file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # A child forked meanwhile shares the lock and would keep it past our close: give it up by name.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def _new_engine(self) -> Engine:
        return connect_to_sqlite(self._url) if self._sqlite else connect_to_postgresql(self._url, self._patience)

    def _after_fork(self) -> None:
        # Connections must not cross a fork, nor be closed by the child: keep them, unused.
        self._inherited.append(self._engine)
        self._engine = self._new_engine()
        # Another thread may have held a lock of the old one at the fork. The new one needs no registry: Gunicorn's
        # processes are asked together, by their files, and nobody asks a pool process.
        self._commit_times = _commit_times(registry=None)


def take_turn(connection: Connection) -> None:
    """Wait until no other transaction has the turn, and keep it until the end of this one.

    On SQLite all writers take turns anyway. On PostgreSQL those do that look at rows and write by what they saw. It
    comes before what else the transaction locks, or two of them might wait for each other. Jobs that are accepted, that
    begin and that succeed need no turn, and wait for none.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(TURN)))


def is_deadlock(error: BaseException | None) -> bool:
    """Tell whether PostgreSQL has ended a transaction, because it and another one waited for each other: try again."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "40P01"


@cache
def ledger() -> Ledger:
    """Return the process-wide ledger."""
    return Ledger(settings().ledger_url, settings().ledger_patience)
