"""All that a ledger on SQLite has is in PostgreSQL afterwards, and a move that fails leaves nothing there."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from jobs.commands import move_ledger
from jobs.commands.migrate import upgrade
from jobs.commands.move_ledger import CannotMove, move
from jobs.ledger import audit, copying, moves, queries, search, todos, words
from jobs.ledger.database import Ledger
from jobs.ledger.records import AuditEntry, NewJob
from jobs.ledger.schema import failure, job, search_gap
from jobs.question import read
from tests.support.databases import on_postgresql
from tests.support.old_ledger import JOBS, REVISIONS, fill

pytestmark = on_postgresql


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backend.db"


@pytest.fixture
def source(file: Path) -> Iterator[Ledger]:
    """A ledger on SQLite with rows in all tables."""
    made = Ledger(f"sqlite:///{file}")
    upgrade(made)
    fill(made)
    yield made
    made.dispose()


def rows(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    with ledger.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in copying.TABLES
        }


def test_every_row_of_every_table_arrives(source: Ledger, ledger: Ledger) -> None:
    before = rows(source)
    assert all(before.values()), "all tables are filled"
    assert move(source, ledger) == {name: len(found) for name, found in before.items()}
    assert rows(ledger) == before
    assert rows(source) == before


def test_numbers_that_were_given_are_not_given_again(source: Ledger, ledger: Ledger) -> None:
    with source.writing() as connection:
        last = todos.add(connection, "the last one", False).id
        connection.exec_driver_sql("DELETE FROM todo")
    move(source, ledger)
    with ledger.writing() as connection:
        assert todos.add(connection, "the next one", False).id == last + 1
        new = NewJob(type="heavy", queue="heavy", params={})
        moves.add(connection, new)
        audit.add(connection, AuditEntry(at=1.0, who="ada", role="admin", address="::1", action="cancel", subject="x"))
        found = queries.find(connection, new.id)
    assert found is not None
    assert found.seq == len(JOBS) + 1


def test_jobs_are_found_before_and_after_their_words_are_indexed(
    source: Ledger, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "SETTLE", 0)
    with source.writing() as connection:
        for number in range(3 * words.BLOCK):
            moves.add(connection, NewJob(type="heavy", queue="heavy", params={"text": f"number {number}"}))
        connection.execute(update(job).values(state="SUCCESS", ended_at=time.time(), due_at=None))
    words.fill(source, 10)
    move(source, ledger)
    for indexed in (False, True):
        if indexed:
            words.fill(ledger, 10)
        with ledger.reading() as connection:
            found = search.page(connection, read('"number 7"'), limit=10, budget=60)
            assert [each.params for each in found.jobs] == [{"text": "number 7"}]
            gaps = connection.execute(select(search_gap.c.block)).scalars().all()
        assert len(gaps) == (1 if indexed else 4)


def test_what_only_sqlite_takes_arrives_with_a_question_mark(source: Ledger, ledger: Ledger) -> None:
    with source.writing() as connection:
        connection.execute(update(job).values(error="a\0b"))
    move(source, ledger)
    with ledger.reading() as connection:
        assert set(connection.execute(select(job.c.error)).scalars()) == {"a?b"}


def test_a_target_that_has_rows_is_refused(source: Ledger, ledger: Ledger) -> None:
    with ledger.writing() as connection:
        todos.add(connection, "already here", False)
    before = rows(ledger)
    with pytest.raises(CannotMove, match=r"not empty. It has rows in: todo \(1\)"):
        move(source, ledger)
    assert rows(ledger) == before


def test_an_older_schema_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    old = Ledger(f"sqlite:///{tmp_path}/old.db")
    upgrade(old, REVISIONS[-2])
    with pytest.raises(CannotMove, match=rf"is {REVISIONS[-2]}, that of the new database {REVISIONS[-1]}"):
        move(old, ledger)
    old.dispose()


def test_a_move_that_fails_leaves_nothing(source: Ledger, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_more(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        arguments[1].execute(  # type: ignore[attr-defined]
            insert(failure).values(key="k", type="t", message="m", jobs=1, first_at=0, last_at=0)
        )

    copy = copying.copy
    monkeypatch.setattr(copying, "copy", one_more)
    with pytest.raises(CannotMove, match="Not all rows"):
        move(source, ledger)
    assert not any(rows(ledger).values())


def test_the_command_says_what_it_has_copied(
    source: Ledger, ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(move_ledger, "ledger", lambda: ledger)
    monkeypatch.setattr(sys, "argv", ["move_ledger", str(file)])
    assert move_ledger.main() == 0
    told = capsys.readouterr().out.splitlines()
    assert f"job: {len(JOBS)}" in told
    assert told[-1].startswith(f"copied: {sum(len(found) for found in rows(source).values())} rows in ")
    assert move_ledger.main() == 1
    assert "The new database is not empty" in capsys.readouterr().err
