"""A ledger of any earlier version, with data, becomes one of today, and nothing in it is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from jobs.commands.migrate import upgrade
from jobs.ledger import attempts, keys, mails, moves, queries, samples, todos, workers
from jobs.ledger.database import Ledger
from jobs.ledger.records import IdempotencyKey, Outcome
from jobs.ledger.schema import metadata
from jobs.question import Question
from jobs.states import RUNNING, WAITING, State
from tests.support.old_ledger import ENDED_JOBS, JOBS, REVISIONS, ROWS, contents, fill, of_the_schema, tables
from tests.support.postgresql import Server
from tests.support.project import ROOT
from tests.support.soundness import faults, unsound_jobs

#: Tables whose rows a migration leaves behind on purpose, and the last revision that had them.
LEFT_BEHIND = {"sample": "0002"}

STORED = dict[str, tuple[list[str], list[tuple[object, ...]]]]


#: All migrations go over the first ledger on PostgreSQL.
OLD = [*(("sqlite", revision) for revision in REVISIONS), ("postgresql", REVISIONS[0])]


@pytest.fixture(params=OLD, ids="-".join)
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """A ledger at each revision, with rows in all of its tables."""
    database, revision = request.param
    with ExitStack() as stack:
        if database == "sqlite":
            url = f"sqlite:///{tmp_path}/backend.db"
        else:
            server: Server = request.getfixturevalue("server")
            url = stack.enter_context(server.empty_database())
        made = Ledger(url)
        upgrade(made, revision)
        fill(made)
        yield made
        made.dispose()


def wrong(connection: Connection) -> list[str]:
    return (faults if connection.dialect.name == "sqlite" else unsound_jobs)(connection.exec_driver_sql)


def stored(ledger: Ledger) -> STORED:
    """Return of each table the names of its columns, and its rows."""
    columns = {table.name: [column.name for column in table.columns] for table in tables(ledger)}
    return {name: (names, contents(ledger, name, names)) for name, names in columns.items()}


def test_the_revisions_follow_one_another() -> None:
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS


def test_the_old_ledgers_have_rows_in_all_tables_and_are_sound(old: Ledger) -> None:
    assert {name: len(rows) for name, (_, rows) in stored(old).items()} == {
        name: len(JOBS) if name == "job" else ROWS for name in stored(old)
    }
    with old.reading() as connection:
        assert wrong(connection) == []
    assert {row["state"] for row in JOBS.values()} == set(State)


def test_no_row_is_lost_or_changed(old: Ledger, request: pytest.FixtureRequest) -> None:
    _, revision = request.node.callspec.params["old"]
    before = stored(old)
    upgrade(old)
    now = {table.name: {column.name for column in table.columns} for table in tables(old)}
    for name, (columns, rows) in before.items():
        if revision <= LEFT_BEHIND.get(name, ""):
            continue
        kept = [column for column in columns if column in now[name]]
        places = [columns.index(column) for column in kept]
        assert contents(old, name, kept) == sorted((tuple(row[place] for place in places) for row in rows), key=repr)


def test_the_schema_is_the_one_that_the_code_uses(old: Ledger) -> None:
    upgrade(old)
    with old.writing() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": of_the_schema})
        assert compare_metadata(context, metadata) == []
        assert wrong(connection) == []


def test_every_job_is_found_with_all_that_was_known_of_it(old: Ledger) -> None:
    upgrade(old)
    with old.reading() as connection:
        for job_id, row in JOBS.items():
            job = queries.find(connection, job_id)
            assert job is not None
            assert {name: getattr(job, name) for name in row} == row
        assert [job.id for job in queries.page(connection, limit=100)] == list(JOBS)[::-1]
        for state in State:
            of_this = queries.page(connection, Question(states=(state,), kinds=("heavy",)), limit=100)
            assert {job.id for job in of_this} == {job_id for job_id, row in JOBS.items() if row["state"] == state}


def test_every_job_goes_on_from_where_it_was(old: Ledger) -> None:
    upgrade(old)
    waiting = [job_id for job_id, row in JOBS.items() if row["state"] in WAITING]
    running = [job_id for job_id, row in JOBS.items() if row["state"] in RUNNING]
    with old.writing() as connection:
        assert moves.claim(connection, waiting, "w.2").keys() == set(waiting)
    with old.writing() as connection:
        assert moves.succeed(connection, *(Outcome(job_id=job_id, attempt=1) for job_id in running)) == len(running)
        moves.release(connection, waiting, "w.2", 5)
    with old.reading() as connection:
        assert queries.backlog(connection) == len(waiting)
        assert {job.id for job in queries.due(connection, 100)} == set(waiting)
        assert len(attempts.past(connection, waiting[0])) == 1


def test_all_else_can_be_read(old: Ledger) -> None:
    had = {table.name for table in tables(old)}
    upgrade(old)
    some_job = ENDED_JOBS[0]
    with old.reading() as connection:
        assert [todo.text for todo in todos.page(connection, limit=10)] == ["text 1", "text 2", "text 3"]
        assert [worker.id for worker in workers.registered(connection)] == ["id 1", "id 2", "id 3"]
        assert keys.find(connection, IdempotencyKey(text="key 1", fingerprint="fingerprint 1")) == some_job
        assert mails.reserved(connection, some_job) == {1}
        assert len(attempts.past(connection, some_job)) == ("attempt" in had)
        samples.since(connection, 0)


def test_two_machines_may_migrate_at_the_same_moment(server: Server) -> None:
    with server.empty_database() as url:
        environment = os.environ | {"DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "jobs.commands.migrate"]
        processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
        assert [process.wait(100) for process in processes] == [0, 0]
        made = Ledger(url)
        with made.reading() as connection:
            assert queries.backlog(connection) == 0
        made.dispose()
