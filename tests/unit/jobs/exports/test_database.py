"""Files in the ledger. What is asked of PostgreSQL here SQLite can answer, too."""

import io
import random
import time
import tracemalloc
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from jobs.exports import database, folder, store
from jobs.exports.database import TooLarge
from jobs.ledger.database import Ledger
from jobs.ledger.files import CHUNK, File, FileLost, Run
from jobs.ledger.schema import export_chunk, export_file
from jobs.settings import settings
from tests.support.databases import on_postgresql

JOB = "6f3c1c7e-2a5b-4f0e-9b57-0d6f6f1f6a11"


def write(ledger: Ledger, content: str, attempt: int = 1) -> File:
    with database.write(ledger, JOB, attempt) as file:
        file.write(content)
    return found(ledger)


def found(ledger: Ledger) -> File:
    file = database.find(ledger, JOB)
    assert file is not None
    return file


def content(ledger: Ledger, file: File, start: int = 0) -> bytes:
    return b"".join(database.read(ledger, file, start))


def rows(ledger: Ledger) -> tuple[int, int]:
    """Return the numbers of files and of chunks, whole or not."""
    with ledger.reading() as connection:
        files, chunks = (connection.execute(select(func.count()).select_from(t)) for t in (export_file, export_chunk))
        return files.scalar_one(), chunks.scalar_one()


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_file_is_read_as_it_was_written_from_any_byte_on(ledger: Ledger, length: int) -> None:
    text = "".join(random.choices("ab\n", k=length))
    file = write(ledger, text)
    assert (file.size, rows(ledger)) == (length, (1, -(-length // CHUNK)))
    for start in {0, 1, length // 2, CHUNK - 1, CHUNK, CHUNK + 1, length - 1, length, length + 1}:
        assert content(ledger, file, max(start, 0)) == text[max(start, 0) :].encode()


def test_letters_of_several_bytes_may_lie_across_two_chunks(ledger: Ledger) -> None:
    text = "a" + "ä" * CHUNK + "\r\n"
    assert content(ledger, write(ledger, text)) == text.encode()


def test_a_file_is_there_when_it_is_whole(ledger: Ledger) -> None:
    with database.write(ledger, JOB, 1) as file:
        file.write("x" * 2 * CHUNK)
        assert rows(ledger) == (1, 2)
        assert database.find(ledger, JOB) is None
        assert database.whole(ledger) == []
    assert database.whole(ledger) == [found(ledger)]


def test_a_file_that_cannot_be_finished_leaves_nothing(ledger: Ledger) -> None:
    writing = database.write(ledger, JOB, 1)
    writing.__enter__().write("x" * 2 * CHUNK)
    assert rows(ledger) == (1, 2)
    assert not writing.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert rows(ledger) == (0, 0)


def test_a_file_that_grows_too_large_is_refused_and_leaves_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LARGEST", 3 * CHUNK)
    assert write(ledger, "x" * 3 * CHUNK).size == 3 * CHUNK
    with pytest.raises(TooLarge, match="Export fewer to-dos"), database.write(ledger, JOB, 2) as file:
        file.writelines("x" * CHUNK for _ in range(4))
    assert rows(ledger) == (0, 0)


def test_what_earlier_runs_have_left_goes(ledger: Ledger) -> None:
    dead = database.write(ledger, JOB, 1)
    dead.__enter__().write("x" * 2 * CHUNK)  # and then it is killed
    write(ledger, "second", 2)
    assert content(ledger, write(ledger, "third", 3)) == b"third"
    assert rows(ledger) == (1, 1)


def test_a_run_that_was_paused_does_not_replace_the_file_of_its_successor(ledger: Ledger) -> None:
    paused = database.write(ledger, JOB, 1)
    file = paused.__enter__()
    file.write("x" * 2 * CHUNK)
    write(ledger, "second", 2)
    with pytest.raises(FileLost) as error:
        file.write("x" * CHUNK)
    assert not paused.__exit__(FileLost, error.value, None)
    assert content(ledger, found(ledger)) == b"second"
    assert rows(ledger) == (1, 1)


def test_a_file_with_a_hole_is_never_whole(ledger: Ledger) -> None:
    writing = database.write(ledger, JOB, 1)
    writing.__enter__().write("x" * 3 * CHUNK)
    with ledger.writing() as connection:  # as a database does that has crashed, and has not had this one on disk yet
        connection.execute(delete(export_chunk).where(export_chunk.c.number == 1))
    with pytest.raises(FileLost, match="has lost a part"):
        writing.__exit__(None, None, None)
    assert rows(ledger) == (0, 0)


def test_a_run_that_begins_too_late_does_not_either(ledger: Ledger) -> None:
    write(ledger, "second", 2)
    write(ledger, "first", 1)
    assert content(ledger, found(ledger)) == b"second"
    assert database.whole(ledger) == [found(ledger)]


@on_postgresql
def test_a_file_needs_no_more_memory_the_larger_it_is(ledger: Ledger) -> None:
    def peak(chunks: int) -> int:
        tracemalloc.start()
        with database.write(ledger, JOB, chunks) as file:
            for _ in range(chunks * 16):
                file.write("x" * (CHUNK // 16))
        size = sum(len(part) for part in database.read(ledger, found(ledger)))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size == chunks * CHUNK
        return most

    peak(2)  # what is loaded and compiled once
    small = peak(8)
    assert peak(80) < small + CHUNK


@on_postgresql
def test_a_slow_reader_keeps_no_connection(ledger: Ledger) -> None:
    parts = database.read(ledger, write(ledger, "x" * 3 * CHUNK))
    next(parts)
    with ledger.reading() as connection:
        in_use = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        assert connection.exec_driver_sql(in_use).scalar_one() == 1, "only this question"


# --- expiry -----------------------------------------------------------------------------------------------------------


def grow_old(ledger: Ledger, attempt: int) -> None:
    with ledger.writing() as connection:
        of_run = export_file.c.attempt == attempt
        connection.execute(update(export_file).where(of_run).values(written_at=time.time() - 61))


@pytest.fixture
def expiring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "export_expires", 60)


@pytest.mark.usefixtures("expiring")
def test_old_files_are_removed_in_steps_whole_or_not(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "STEP", 2)
    dead = database.write(ledger, JOB, 5)
    dead.__enter__().write("x" * CHUNK)
    grow_old(ledger, 5)
    old = write(ledger, "x" * 5 * CHUNK, 4)
    grow_old(ledger, 4)
    write(ledger, "young", 3)
    assert sorted(database.remove_expired(ledger)) == [False, False, True, True]
    assert rows(ledger) == (1, 1)
    with pytest.raises(FileNotFoundError, match="has expired"):
        content(ledger, old)


@pytest.mark.usefixtures("expiring")
def test_a_clearing_may_stop_at_any_step(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "STEP", 1)
    write(ledger, "x" * 3 * CHUNK)
    grow_old(ledger, 1)
    clearing = database.remove_expired(ledger)
    assert next(clearing) is False
    assert rows(ledger) == (1, 2)
    assert list(clearing) == [False, False, True]
    assert rows(ledger) == (0, 0)


@pytest.mark.usefixtures("expiring")
def test_a_file_that_is_being_written_is_not_old(ledger: Ledger) -> None:
    with database.write(ledger, JOB, 1) as file:
        grow_old(ledger, 1)
        file.write("x" * CHUNK)
        assert list(database.remove_expired(ledger)) == []


def test_what_is_restored_has_its_time_and_is_replaced_by_a_run(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        database.restore(connection, JOB, io.BytesIO(b"x" * (CHUNK + 1)), 1000.5)
    assert found(ledger) == File(run=Run(JOB, 0), size=CHUNK + 1, written_at=1000.5)
    assert content(ledger, found(ledger)) == b"x" * (CHUNK + 1)
    assert content(ledger, write(ledger, "again")) == b"again"


# --- which of the two -------------------------------------------------------------------------------------------------


@pytest.fixture
def chosen(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(settings(), "exports_dir", tmp_path)
    monkeypatch.setattr(store, "ledger", lambda: ledger)
    return ledger


def test_the_ledger_decides_where_a_file_is(chosen: Ledger) -> None:
    with store.write(JOB, 1) as file:
        file.write("all of it")
    in_ledger = chosen.file is None
    assert store.find(JOB) == (database.find(chosen, JOB) if in_ledger else folder.path_of(JOB))
    assert folder.path_of(JOB).exists() == (not in_ledger)
    assert rows(chosen) == ((1, 1) if in_ledger else (0, 0))


def test_a_file_from_before_the_move_is_found_and_expires(chosen: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder.write(JOB, 1) as file:
        file.write("from before")
    assert store.find(JOB) == folder.path_of(JOB)
    assert sum(store.remove_expired()) == 0
    monkeypatch.setattr(settings(), "export_expires", -1)
    assert sum(store.remove_expired()) == 1
    assert store.find(JOB) is None
