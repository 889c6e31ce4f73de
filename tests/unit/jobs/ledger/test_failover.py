"""What becomes of work whose PostgreSQL goes away: tests/cluster has machines that die."""

import threading
import time
from collections.abc import Iterator

import pytest
from psycopg.errors import AdminShutdown
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import OperationalError

from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.records import NewJob
from tests.support.databases import on_postgresql
from tests.support.postgresql import Server

PATIENCE = 2.0


@pytest.fixture
def patient(ledger: Ledger) -> Iterator[Ledger]:
    made = Ledger(ledger.url, PATIENCE)
    yield made
    made.dispose()


@on_postgresql
def test_a_server_that_comes_back_in_time_costs_nobody_anything(patient: Ledger, server: Server) -> None:
    with patient.reading() as connection:
        assert queries.backlog(connection) == 0
    with server.outage(patient.url):
        back = threading.Timer(PATIENCE / 4, server.end_outage, [patient.url])
        back.start()
        with patient.reading() as connection:  # the connection of before is dead
            assert queries.backlog(connection) == 0
        back.join()


@on_postgresql
def test_one_that_stays_away_is_waited_for_once(patient: Ledger, server: Server) -> None:
    with server.outage(patient.url):
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(OperationalError), patient.reading():
                pass
        assert PATIENCE <= time.monotonic() - began < 2 * PATIENCE
    with patient.reading() as connection:
        assert queries.backlog(connection) == 0


def end_own_session(connection: Connection) -> None:
    connection.execute(select(func.pg_terminate_backend(func.pg_backend_pid())))


@on_postgresql
def test_what_was_lost_before_its_commit_is_written_again(ledger: Ledger) -> None:
    tries: list[int] = []
    new = NewJob(type="heavy", queue="heavy", params={})

    def add(connection: Connection) -> int:
        moves.add(connection, new)
        tries.append(1)
        if len(tries) < 3:
            end_own_session(connection)
        return len(tries)

    assert GroupCommit(ledger).run(add, 10) == 3
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 1


@pytest.fixture
def lost_commit(ledger: Ledger) -> Iterator[None]:
    """Have the first commit with a job in it end its own connection."""
    with ledger.reading() as connection:
        for statement in (
            "CREATE SEQUENCE commits",
            """CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('commits') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL;
            END $$""",
            """CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON job DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION lose()""",
        ):
            connection.execute(text(statement))
    yield
    with ledger.reading() as connection:  # other tests get this database
        connection.execute(text("DROP FUNCTION lose CASCADE"))
        connection.execute(text("DROP SEQUENCE commits"))


@on_postgresql
def test_items_are_told_that_they_may_be_there_when_their_commit_was_lost(ledger: Ledger, lost_commit: None) -> None:
    new = NewJob(type="heavy", queue="heavy", params={})
    told: list[bool] = []

    def add_all(connection: Connection, jobs: list[NewJob], perhaps_done: bool) -> None:
        told.append(perhaps_done)
        moves.add(connection, *jobs)

    GroupCommit(ledger).gather(add_all, new, 10)
    assert told == [False, True]


@on_postgresql
def test_of_other_work_it_is_said_that_nobody_knows(ledger: Ledger, lost_commit: None) -> None:
    new = NewJob(type="heavy", queue="heavy", params={})
    commits = GroupCommit(ledger)
    with pytest.raises(OperationalError) as lost:
        commits.run(lambda connection: moves.add(connection, new), 10)
    assert isinstance(lost.value.orig, AdminShutdown)
    assert commits.run(queries.backlog, 10) == 0
