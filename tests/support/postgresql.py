"""A PostgreSQL server for one process of tests: Debian's programs, in a temporary folder, on a Unix socket.

Its data need not outlive the machine, so it never waits for the disk.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import inspect, make_url

from jobs.commands.migrate import upgrade
from jobs.ledger.copying import NUMBERED
from jobs.ledger.database import Ledger
from tests.support.stack import wait_until

#: Where Debian's packages put the programs, of each version that is installed.
PROGRAMS = Path("/usr/lib/postgresql")
#: For speed, and without a network.
QUICK = (
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "deadlock_timeout=100ms",
    "max_connections=400",
    "listen_addresses=",
)


def programs() -> Path | None:
    """Return the folder of the newest version's programs, if any is installed."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda program: int(program.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """A server that runs."""

    def __init__(self, folder: Path, admin: psycopg.Connection) -> None:
        self._folder = folder
        self._admin = admin
        self._numbers = count(1)
        #: Databases that are as new. To make one takes much longer than to empty one.
        self._unused: list[str] = []
        with self._made("template0", keep=True) as self._migrated:
            ledger = Ledger(self.url(self._migrated))
            upgrade(ledger)
            with ledger.reading() as connection:
                tables = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
            ledger.dispose()
        restart = (f"ALTER SEQUENCE {column.table.name}_{column.name}_seq RESTART" for column in NUMBERED)
        self._empty = "; ".join((*(f"DELETE FROM {name}" for name in tables), *restart))

    def url(self, database: str) -> str:
        """Return the address of a database, as Warren takes it."""
        return f"postgresql+psycopg://warren@/{database}?host={self._folder}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the address of a database with the current schema, and empty tables."""
        if self._unused:
            name = self._unused.pop()
        else:
            with self._made(self._migrated, keep=True) as name:
                pass
        try:
            yield self.url(name)
        finally:
            self.end_sessions(self.url(name))
            try:
                with psycopg.connect(f"host={self._folder} user=warren dbname={name}") as connection:
                    connection.execute(self._empty)
            except psycopg.Error:  # the test has changed the schema
                self._drop(name)
            else:
                self._unused.append(name)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """Make a database without tables, yield its address, and remove it."""
        with self._made("template0") as name:
            yield self.url(name)

    def end_sessions(self, url: str) -> None:
        """End all connections to a database, as when a network or a machine fails."""
        end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        self._admin.execute(end, [make_url(url).database])

    @contextmanager
    def outage(self, url: str) -> Iterator[None]:
        """Let nobody use a database for a while."""
        name = make_url(url).database
        self._admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self.end_sessions(url)
        try:
            yield
        finally:
            self.end_outage(url)

    def end_outage(self, url: str) -> None:
        """Let a database be used again."""
        self._admin.execute(f"ALTER DATABASE {make_url(url).database} ALLOW_CONNECTIONS true")

    @contextmanager
    def _made(self, template: str, *, keep: bool = False) -> Iterator[str]:
        name = f"test_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield name
        finally:
            if not keep:
                self._drop(name)

    def _drop(self, name: str) -> None:
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """Start a server and stop it. It ends with this process, whatever becomes of that."""
    # Not in pytest's folder, into which only this user may look: PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="warren_postgresql_"))
    with_less = ["setpriv", "--pdeathsig=INT"]
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        with_less += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = str(folder / "data")
    create = [str(programs / "initdb"), "--username=warren", "--auth=trust", "--no-sync", data]
    language = ["--encoding=UTF8", "--locale=C.UTF-8"]
    subprocess.run([*with_less, *create, *language], check=True, capture_output=True, cwd=folder)
    options = [f"--{option}" for option in (*QUICK, f"unix_socket_directories={folder}")]
    start = [*with_less, str(programs / "postgres"), "-D", data, *options]
    with (folder / "log").open("w") as log, subprocess.Popen(start, stdout=log, stderr=log, cwd=folder) as process:
        try:
            ready = [str(programs / "pg_isready"), "--quiet", f"--host={folder}"]
            wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, 30, "PostgreSQL takes connections")
            with psycopg.connect(f"host={folder} user=warren dbname=postgres", autocommit=True) as admin:
                yield Server(folder, admin)
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, for nothing has to be kept
            process.wait(30)
    shutil.rmtree(folder)
