import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from jobs.ledger import database, moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.ledger.schema import metadata
from jobs.migrate import upgrade

_HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def new_job() -> NewJob:
    return NewJob(type="heavy", queue="heavy", params={})


def test_migrations_make_the_schema_that_the_code_uses(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        moves.submit(connection, new_job())
    upgrade(ledger)
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 1


def test_a_commit_is_on_disk_and_the_library_has_the_mended_wal(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
    for durable, synchronous in [(True, 2), (False, 1), (True, 2)]:  # FULL, NORMAL
        with ledger.writing(durable=durable) as connection:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == synchronous
    assert tuple(map(int, version.split("."))) >= (3, 51, 3)


def test_writers_in_several_processes_take_turns(ledger: Ledger) -> None:
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for _ in range(25):
                    with ledger.writing() as connection:
                        moves.submit(connection, new_job())
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 100


def test_a_ledger_locked_by_others_is_an_error_after_a_known_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    ledger = Ledger(f"sqlite:///{tmp_path}/backend.db")
    upgrade(ledger)
    # In a process of its own: two SQLite libraries in one process do not see each other's locks.
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD_THE_LOCK, str(tmp_path / "backend.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(OperationalError, match="locked"), ledger.writing():
            pass
        # Somebody who can wait gets through when the lock is gone.
        done = threading.Thread(target=ledger.insist, args=(lambda c: moves.submit(c, new_job()), 30))
        done.start()
        other.communicate("go on")
    done.join(30)
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 1
    ledger.dispose()
