import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from jobs.commands.migrate import upgrade
from jobs.ledger import engines, moves, queries
from jobs.ledger.database import Ledger, LedgerFileChanged
from jobs.ledger.records import NewJob
from jobs.ledger.schema import metadata
from tests.support.databases import on_sqlite
from tests.support.old_ledger import of_the_schema

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
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": of_the_schema})
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        moves.add(connection, new_job())
    upgrade(ledger)
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 1


@on_sqlite
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
                        moves.add(connection, new_job())
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 100


def test_a_commit_that_has_to_be_on_disk_is_timed(ledger: Ledger) -> None:
    def commits() -> float:
        return REGISTRY.get_sample_value("warren_ledger_commit_duration_seconds_count") or 0

    before = commits()
    with ledger.writing(durable=False) as connection:
        moves.add(connection, new_job())
    with pytest.raises(ZeroDivisionError), ledger.writing():
        _ = 1 / 0
    assert commits() == before
    with ledger.writing() as connection:
        moves.add(connection, new_job())
    assert commits() == before + 1


def test_a_process_that_is_forked_waits_for_no_lock_of_the_metrics(ledger: Ledger) -> None:
    # As if another thread were just being asked for them.
    with ledger._commit_times._sum._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # kills a process that waits
            with ledger.writing() as connection:
                moves.add(connection, new_job())
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_ledger_locked_by_others_is_an_error_after_a_known_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.05)
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
        done = threading.Thread(target=ledger.insist, args=(lambda c: moves.add(c, new_job()), 30))
        done.start()
        other.communicate("go on")
    done.join(30)
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 1
    ledger.dispose()


def disturb(file: Path, how: str) -> None:
    aside = file.with_name("aside.db")
    file.rename(aside)
    if how == "replaced":
        file.write_bytes(aside.read_bytes())


@on_sqlite
@pytest.mark.parametrize(("how", "says"), [("moved", "is gone"), ("replaced", "was replaced")])
def test_a_file_that_is_not_the_one_of_before_is_refused_until_it_is_back(
    tmp_path: Path, ledger: Ledger, how: str, says: str
) -> None:
    with ledger.writing() as connection:
        moves.add(connection, new_job())
    file = tmp_path / "backend.db"
    disturb(file, how)
    with pytest.raises(LedgerFileChanged, match=says), ledger.writing():
        pass
    with pytest.raises(LedgerFileChanged, match=says), ledger.reading():
        pass
    assert file.exists() == (how == "replaced"), "no new file was made"

    (tmp_path / "aside.db").rename(file)
    with ledger.writing() as connection:
        moves.add(connection, new_job())
        assert queries.backlog(connection) == 2


@on_sqlite
def test_a_process_that_is_forked_later_expects_the_same_file(tmp_path: Path, ledger: Ledger) -> None:
    with ledger.writing() as connection:
        moves.add(connection, new_job())
    disturb(tmp_path / "backend.db", "replaced")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with ledger.writing():
                pass
        except LedgerFileChanged:
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_only_a_migration_makes_a_file(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/backend.db")
    with pytest.raises(LedgerFileChanged), ledger.writing():
        pass
    assert not (tmp_path / "backend.db").exists()
    upgrade(ledger)
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 0
    ledger.dispose()


@on_sqlite
def test_a_writer_waits_for_another_one_of_warren_as_long_as_it_takes(tmp_path: Path, ledger: Ledger) -> None:
    added = threading.Event()

    def add() -> None:
        with ledger.writing() as connection:
            moves.add(connection, new_job())
        added.set()

    with (tmp_path / "backend.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Thread(target=add).start()
        assert not added.wait(engines.BUSY_TIMEOUT + 0.5), "it did not wait"
    assert added.wait(10)
