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
from sqlalchemy import make_url

from jobs.commands.migrate import upgrade
from jobs.ledger.database import Ledger
from tests.support.stack import wait_until

#: Where Debian's packages put the programs, of each version that is installed.
PROGRAMS = Path("/usr/lib/postgresql")
#: What the data may be lost for.
QUICK = ("fsync=off", "full_page_writes=off", "autovacuum=off", "deadlock_timeout=100ms", "max_connections=400", "listen_addresses=")
#: A database that all migrations have gone over; those of the tests are copies of it.
MIGRATED = "migrated"


def programs() -> Path | None:
    """Return the folder of the newest version's programs, if any is installed."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda program: int(program.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """A server that runs."""

    def __init__(self, folder: Path, admin: psycopg.Connection) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._admin = admin
        self._admin.execute(f"CREATE DATABASE {MIGRATED}")
        made = Ledger(self.url(MIGRATED))
        upgrade(made)
        made.dispose()

    def url(self, database: str) -> str:
        """Return the address of a database, as Warren takes it."""
        return f"postgresql+psycopg://warren@/{database}?host={self._folder}"

    @contextmanager
    def database(self, template: str = MIGRATED) -> Iterator[str]:
        """Make a database, yield its address, and remove it. Without tables if the ``template`` is ``template0``."""
        name = f"test_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def end_sessions(self, url: str) -> None:
        """End all connections to a database, as when a network or a machine fails."""
        name = make_url(url).database
        self._admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """Start a server and stop it. It ends with this process, whatever becomes of that."""
    # Not in pytest's folder, into which only this user may look: PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="warren_postgresql_"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    as_user = {"user": user, "extra_groups": []} if user is not None else {}
    create = [programs / "initdb", "--username=warren", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", data]
    subprocess.run(create, check=True, capture_output=True, cwd=folder, **as_user)
    options = [f"--{option}" for option in (*QUICK, f"unix_socket_directories={folder}")]
    start = ["setpriv", "--pdeathsig", "INT", programs / "postgres", "-D", data, *options]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(start, stdout=log, stderr=log, cwd=folder, **as_user) as process,
    ):
        try:
            ready = [programs / "pg_isready", "--quiet", "--host", folder]
            wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, 30, "PostgreSQL takes connections")
            with psycopg.connect(f"host={folder} user=warren dbname=postgres", autocommit=True) as admin:
                yield Server(folder, admin)
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, for nothing has to be kept
            process.wait(30)
    shutil.rmtree(folder)
