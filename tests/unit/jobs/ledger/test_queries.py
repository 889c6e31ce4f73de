import time

import pytest

from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.question import Question
from jobs.states import State
from tests.support.databases import on_sqlite


def add(ledger: Ledger, type_: str = "heavy", queue: str = "heavy", run_at: float | None = None) -> str:
    new = NewJob(type=type_, queue=queue, params={}, run_at=run_at)
    with ledger.writing() as connection:
        moves.add(connection, new)
    return new.id


@pytest.mark.parametrize("in_states", [(State.PENDING,), (State.PENDING, State.SUCCESS), tuple(State)])
def test_a_filter_by_state_shows_jobs_of_kinds_that_the_catalogue_does_not_have(
    ledger: Ledger, in_states: tuple[State, ...]
) -> None:
    ids = [add(ledger, type_) for type_ in ("heavy", "retired kind", "add", "a kind of a plug-in", "heavy")]
    with ledger.reading() as connection:
        found = queries.page(connection, Question(states=in_states), limit=10)
        assert [job.id for job in found] == ids[::-1]
        assert [job.id for job in queries.page(connection, Question(states=in_states), limit=2)] == ids[:2:-1]
        assert queries.page(connection, Question(states=(State.FAILURE,)), limit=10) == []


@on_sqlite
def test_kinds_are_found_by_steps_along_an_index(ledger: Ledger) -> None:
    for _ in range(20):
        add(ledger)
    with ledger.reading() as connection:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        raw = connection.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(count, 1)
        queries._types(connection, [State.PENDING])
        few, steps = steps, 0
        raw.set_progress_handler(None, 0)
        for _ in range(400):
            add(ledger)
        raw.set_progress_handler(count, 1)
        queries._types(connection, [State.PENDING])
        raw.set_progress_handler(None, 0)
    assert steps <= few + 20, "the work does not grow with the jobs"


def test_jobs_of_later_are_counted_apart(ledger: Ledger) -> None:
    for run_at in (None, time.time() - 60, time.time() + 3600, time.time() + 86_400):
        add(ledger, run_at=run_at)
    add(ledger, "add", "arithmetic")
    with ledger.reading() as connection:
        assert queries.unfinished(connection) == {"heavy": 4, "arithmetic": 1}
        assert queries.scheduled(connection) == {"heavy": 2}


@pytest.mark.parametrize("job_id", ["", "x", "a\0b", "\0"])
def test_an_id_that_no_job_has_is_not_found(ledger: Ledger, job_id: str) -> None:
    add(ledger)
    with ledger.reading() as connection:
        assert queries.find(connection, job_id) is None


def test_the_retries_of_a_job_are_found_newest_first(ledger: Ledger) -> None:
    first = add(ledger)
    retries = [NewJob(type="heavy", queue="heavy", params={}, retry_of=first) for _ in range(queries.MOST_RETRIES + 2)]
    with ledger.writing() as connection:
        moves.add(connection, *retries, NewJob(type="heavy", queue="heavy", params={}, retry_of=retries[0].id))
    with ledger.reading() as connection:
        newest = [each.id for each in retries[:1:-1]]
        assert queries.retries_of(connection, first) == newest
        assert queries.retries_of(connection, newest[0]) == []
        found = queries.find(connection, newest[0])
        assert found is not None
        assert found.retry_of == first
        if ledger.file is not None:
            plan = connection.exec_driver_sql(
                "EXPLAIN QUERY PLAN SELECT id FROM job WHERE retry_of = 'x' ORDER BY seq DESC"
            )
            assert "USING INDEX job_retry_of" in plan.one().detail
