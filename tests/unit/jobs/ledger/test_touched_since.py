"""Which jobs have changed since a moment: answered in a time that does not grow with the table."""

import time

import pytest
from sqlalchemy import Connection, insert

from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Outcome
from jobs.ledger.schema import job
from jobs.states import State
from tests.support.databases import on_sqlite

LIMIT = 20
#: Moments, in seconds since the epoch.
LONG_AGO, A_MINUTE_AGO = 0.0, time.time() - 60


def add_old_jobs(ledger: Ledger, count: int) -> None:
    """Add jobs that were accepted and ended an hour ago."""
    then = time.time() - 3600
    with ledger.writing(durable=False) as connection:
        start = queries.newest_seq(connection)
        connection.execute(
            insert(job),
            [
                {
                    "id": f"old-{start + number}",
                    "type": "add",
                    "queue": "arithmetic",
                    "params": {},
                    "state": State.SUCCESS,
                    "created_at": then,
                    "ended_at": then,
                }
                for number in range(count)
            ],
        )


def add_jobs(ledger: Ledger, count: int) -> list[str]:
    """Add jobs now; return their ids in order."""
    new = [NewJob(type="heavy", queue="heavy", params={}) for _ in range(count)]
    with ledger.writing(durable=False) as connection:
        for one in new:
            moves.add(connection, one)
    return [one.id for one in new]


def steps(connection: Connection, moment: float) -> int:
    """Count the instructions that SQLite needs to answer, in tens."""
    count = 0

    def one_more() -> int:
        nonlocal count
        count += 1
        return 0

    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(one_more, 10)
    queries.touched_since(connection, moment, LIMIT)
    driver.set_progress_handler(None, 10)
    return count


@on_sqlite
@pytest.mark.parametrize("moment", [LONG_AGO, A_MINUTE_AGO], ids=["long ago", "a minute ago"])
def test_the_work_does_not_grow_with_the_table(ledger: Ledger, moment: float) -> None:
    add_old_jobs(ledger, 1_000)
    with ledger.reading() as connection:
        small = steps(connection, moment)
        add_old_jobs(ledger, 20_000)
        assert 0 < steps(connection, moment) < 1.5 * small


def test_what_was_accepted_since_is_told_in_order(ledger: Ledger) -> None:
    add_old_jobs(ledger, 2 * LIMIT)
    moment = time.time()
    ids = add_jobs(ledger, LIMIT)
    with ledger.reading() as connection:
        told = queries.touched_since(connection, moment, LIMIT)
        assert told is not None
        assert [row.id for row in told] == ids


def test_more_than_the_limit_are_too_many(ledger: Ledger) -> None:
    moment = time.time()
    add_jobs(ledger, LIMIT + 1)
    with ledger.reading() as connection:
        assert queries.touched_since(connection, moment, LIMIT) is None


def test_a_small_table_is_told_whole_however_long_ago_the_moment_is(ledger: Ledger) -> None:
    add_old_jobs(ledger, LIMIT)
    with ledger.reading() as connection:
        told = queries.touched_since(connection, LONG_AGO, LIMIT)
        assert told is not None
        assert len(told) == LIMIT


def test_old_jobs_that_run_or_end_now_are_told(ledger: Ledger) -> None:
    runs, ends, waits = add_jobs(ledger, 3)
    with ledger.writing(durable=False) as connection:
        moves.claim(connection, [runs], "w1")
        moves.claim(connection, [ends], "w1")
    moment = time.time()
    with ledger.writing(durable=False) as connection:
        moves.succeed(connection, Outcome(job_id=ends, attempt=1, result="done"))
    with ledger.reading() as connection:
        told = queries.touched_since(connection, moment, LIMIT)
        assert told is not None
        assert {row.id for row in told} == {runs, ends}
        assert waits not in {row.id for row in told}
