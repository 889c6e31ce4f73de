from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Retry

from jobs import identity
from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.states import State
from jobs.worker import backend


@pytest.fixture
def running(ledger: Ledger) -> NewJob:
    """A job that this worker runs, at its first attempt."""
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
        assert moves.claim(connection, new.id, identity.worker_id()) == 1
    return new


def put_back(ledger: Ledger, job: NewJob, **request: Any) -> bool:
    with ledger.writing() as connection:
        return backend._store(connection, job.id, Retry("cut short"), State.RETRY, SimpleNamespace(**request))


def counts(ledger: Ledger, job: NewJob) -> tuple[str, int, int]:
    with ledger.reading() as connection:
        row: Any = queries.find(connection, job.id)
    return row.state, row.retries, row.deaths


def test_a_retry_that_the_task_asks_for_is_counted(ledger: Ledger, running: NewJob) -> None:
    assert put_back(ledger, running, attempt=1, due_at=1.0)
    assert counts(ledger, running) == (State.RETRY, 1, 0)


def test_a_run_that_the_end_of_its_worker_cuts_short_uses_up_no_retry(ledger: Ledger, running: NewJob) -> None:
    assert put_back(ledger, running)
    assert counts(ledger, running) == (State.RETRY, 0, 0)
    with ledger.reading() as connection:
        assert [due.id for due in queries.due(connection, 10)] == [running.id]


def test_a_worker_that_ends_puts_back_nothing_of_others(ledger: Ledger, running: NewJob) -> None:
    with ledger.writing() as connection:
        moves.release(connection, [running.id], identity.worker_id(), max_deliveries=5)
        assert moves.claim(connection, running.id, "another") == 2
    assert not put_back(ledger, running)
    assert counts(ledger, running) == (State.STARTED, 0, 1)
