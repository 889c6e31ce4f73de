"""Pages of jobs, older and newer, while jobs arrive; and jobs that wait for their time."""

import time
from typing import Any

import pytest
from sqlalchemy import event

from jobs.ledger import moves, queries, search
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.question import ANYTHING, Question, read
from jobs.states import State
from tests.support.databases import on_sqlite


def add(ledger: Ledger, count: int = 1, **more: Any) -> list[str]:
    new = [NewJob(**{"type": "heavy", "queue": "heavy", "params": {}, **more}) for _ in range(count)]
    with ledger.writing() as connection:
        moves.add(connection, *new)
    return [each.id for each in new]


def ids(ledger: Ledger, question: Question = ANYTHING, **asked: Any) -> list[str]:
    with ledger.reading() as connection:
        return [job.id for job in search.page(connection, question, **{"limit": 100, **asked}).jobs]


@pytest.mark.parametrize("asked", ["", "kind:heavy", "pending", "waiting", "queue:heavy"])
def test_the_page_of_newer_jobs_is_what_was_accepted_next(ledger: Ledger, asked: str) -> None:
    made = add(ledger, 9)
    with ledger.reading() as connection:
        seqs = {job.id: job.seq for job in queries.page(connection, limit=100)}
    assert ids(ledger, limit=3, after=seqs[made[2]], question=read(asked)) == made[5:2:-1]
    assert ids(ledger, limit=3, after=seqs[made[7]], question=read(asked)) == [made[8]]
    assert ids(ledger, limit=3, after=seqs[made[8]], question=read(asked)) == []


def test_jobs_that_wait_for_their_time_are_told_from_others(ledger: Ledger) -> None:
    [now], [later], [soon] = add(ledger), add(ledger, run_at=time.time() + 60), add(ledger, run_at=time.time() + 1)
    [other] = add(ledger, type="add", run_at=time.time() + 60)
    [ended] = add(ledger)
    with ledger.writing() as connection:
        moves.cancel(connection, ended)
    assert ids(ledger, Question(scheduled=True)) == ids(ledger, read("scheduled")) == [other, later]
    assert ids(ledger, read("scheduled kind:add")) == [other]
    assert ids(ledger, Question(scheduled=True, states=(State.RETRY,))) == []
    assert ids(ledger, read(f"scheduled id:{later}")) == [later]
    assert ids(ledger, read("scheduled queue:heavy")) == [other, later]
    assert ids(ledger, Question(scheduled=False)) == [ended, soon, now]
    assert ids(ledger, read("waiting kind:heavy")) == [soon, now]
    assert ids(ledger, read(f"waiting id:{later}")) == []
    with ledger.reading() as connection:
        assert queries.count_scheduled(connection) == 2


def test_a_scheduled_job_that_was_published_waits(ledger: Ledger) -> None:
    [job] = add(ledger, run_at=time.time() + 60)
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE job SET due_at = NULL")
    assert (ids(ledger, read("scheduled")), ids(ledger, read("waiting"))) == ([], [job])


@on_sqlite
def test_jobs_of_later_are_found_by_an_index(ledger: Ledger) -> None:
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        statements.append((statement, values))

    event.listen(ledger._engine, "before_cursor_execute", note)
    with ledger.reading() as connection:
        queries.count_scheduled(connection)
        queries.page(connection, Question(scheduled=True, kinds=("heavy",)), limit=2)
    event.remove(ledger._engine, "before_cursor_execute", note)
    with ledger.reading() as connection:
        for statement, values in statements:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert "USING INDEX job_due" in steps[0].detail, statement
