"""The connection to the ledger's database: SQLite by default, PostgreSQL by ``DATABASE_URL``.

SQLite allows one writer at a time. Its own way of waiting (the busy handler) sleeps and tries again, which is where the
slowest answers come from; so writers queue up on a blocking ``flock`` first, which wakes the next one at once. Readers
never wait: the file is in WAL mode.
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

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from jobs.settings import settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that a statement waits for a lock held by a process outside of Warren.
BUSY_TIMEOUT = 3.0

#: Pages in the write-ahead log that make a checkpoint due. It runs in the commit that reaches them, while other writers
#: wait: many small ones keep them for less long than a few large ones, and cost the same.
CHECKPOINT_PAGES = 1000


class LedgerFileChanged(SQLAlchemyError):
    """The ledger's file is not the one that this process began with: what is written now would be lost."""


class Ledger:
    """Opens connections to one database; cheap to make, safe to share between threads and across ``fork``."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._file = Path(self._url.database) if self._sqlite and self._url.database else None
        #: Device and inode of the file, from the first moment on in which it was there.
        self._file_id = self._find_file()
        self._engine = self._new_engine()
        self._inherited: list[Engine] = []
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def folder(self) -> Path | None:
        """The folder of the SQLite file; ``None`` if the database is a server's."""
        return self._file.parent if self._file is not None else None

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

        A durable commit is on disk when this returns. One that is not survives any crash of a process, but the last
        ones may be undone by a power cut: enough for what the ledger finds out again, such as who runs a job.

        Waits for other writers of Warren as long as they take: nothing bounds a ``flock`` that waits. Who has to answer
        in time goes through :class:`jobs.ledger.group_commit.GroupCommit`, whose callers have a time limit. Raises
        :class:`sqlalchemy.exc.OperationalError` when a program outside of Warren locks the database for longer than
        :data:`BUSY_TIMEOUT`, or the disk is full; and :class:`LedgerFileChanged`.
        """
        with self._writers_lock():
            self.check_file()
            with self._engine.connect() as connection:
                connection.execution_options(durable=durable)
                with connection.begin():
                    yield connection

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
        if not self._sqlite:
            engine = create_engine(self._url, pool_size=8, max_overflow=56, pool_pre_ping=True)

            @event.listens_for(engine, "begin")
            def _begin_postgresql(connection: Connection) -> None:
                if not connection.get_execution_options().get("durable", True):
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

            return engine

        # Debian's SQLite (3.46) has the WAL-reset bug that 3.51.3 mends; this wheel carries a newer one.
        import pysqlite3.dbapi2

        engine = create_engine(self._url, module=pysqlite3.dbapi2, pool_size=8, max_overflow=56)

        @event.listens_for(engine, "connect")
        def _configure(dbapi_connection: pysqlite3.dbapi2.Connection, _entry: ConnectionPoolEntry) -> None:
            dbapi_connection.isolation_level = None  # transactions begin where we say, below
            for pragma in (
                "journal_mode = WAL",
                f"busy_timeout = {int(BUSY_TIMEOUT * 1000)}",
                f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
                "journal_size_limit = 67108864",
            ):
                dbapi_connection.execute(f"PRAGMA {pragma}").close()

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            if options.get("isolation_level") != "AUTOCOMMIT":
                # FULL: the commit returns after fsync.
                synchronous = "FULL" if options["durable"] else "NORMAL"
                if connection.info.get("synchronous") != synchronous:
                    connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
                    connection.info["synchronous"] = synchronous
                # IMMEDIATE: take the write lock now. A lock upgraded later fails at once instead of waiting.
                connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    def _after_fork(self) -> None:
        # SQLite connections must not cross a fork, nor be closed by the child: keep them, unused.
        self._inherited.append(self._engine)
        self._engine = self._new_engine()


@cache
def ledger() -> Ledger:
    """Return the process-wide ledger."""
    return Ledger(settings().ledger_url)
