import time
from types import SimpleNamespace
from typing import Any

import pytest
from celery.app.task import Context
from celery.exceptions import Retry
from prometheus_client import REGISTRY

from jobs import identity
from jobs.app import app
from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Outcome
from jobs.states import State
from jobs.worker import backend


@pytest.fixture
def running(ledger: Ledger) -> NewJob:
    """A job that this worker runs, at its first attempt."""
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
        assert moves.claim(connection, [new.id], identity.worker_id())[new.id].attempt == 1
    return new


def put_back(ledger: Ledger, job: NewJob) -> bool:
    with ledger.writing() as connection:
        return backend._tell(connection, job.id, Retry("cut short"), State.RETRY)


def counts(ledger: Ledger, job: NewJob) -> tuple[str, int, int]:
    with ledger.reading() as connection:
        row: Any = queries.find(connection, job.id)
    return row.state, row.retries, row.deaths


@pytest.fixture
def in_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "current_process", lambda: SimpleNamespace(name="ForkPoolWorker-1"))


def told(result: Any, state: str, **request: Any) -> Outcome:
    """Tell a pool process's backend of the end of a run; return what the main process is told."""
    request = {"attempt": 2, **request}
    backend.LedgerBackend(app).store_result("one", result, state, request=SimpleNamespace(**request))
    outcome = backend.take_outcome()
    assert outcome is not None
    assert backend.take_outcome() is None
    assert (outcome.job_id, outcome.attempt) == ("one", 2)
    assert outcome.ended_at == pytest.approx(time.time(), abs=5)
    return outcome


@pytest.mark.usefixtures("in_pool")
def test_a_pool_process_gives_its_result_to_the_main_process() -> None:
    outcome = told({"answer": (4, 2)}, State.SUCCESS)
    assert (outcome.state, outcome.result) == (State.SUCCESS, {"answer": [4, 2]})


@pytest.mark.usefixtures("in_pool")
@pytest.mark.parametrize("result", [object(), float("nan"), {"a": {1}}])
def test_a_result_that_is_not_json_is_a_failure(result: Any) -> None:
    outcome = told(result, State.SUCCESS)
    assert outcome.state is State.FAILURE
    assert outcome.error.startswith("The result is not JSON: ")


@pytest.mark.usefixtures("in_pool")
def test_a_failure_is_told_in_a_sentence() -> None:
    outcome = told(ZeroDivisionError("division by zero"), State.FAILURE)
    assert (outcome.state, outcome.error) == (State.FAILURE, "ZeroDivisionError: division by zero")
    assert outcome.traceback is None, "it was not raised"


@pytest.mark.usefixtures("in_pool")
def test_a_failure_has_its_traceback_and_a_retry_has_none() -> None:
    try:
        raise ConnectionError("the server is away")
    except ConnectionError as error:
        failed, again = told(error, State.FAILURE), told(error, State.RETRY)
    assert failed.traceback is not None
    assert failed.traceback.rstrip().endswith("ConnectionError: the server is away")
    assert again.traceback is None


@pytest.mark.usefixtures("in_pool")
def test_a_sentence_is_a_text_that_every_database_takes() -> None:
    assert told(ValueError("a\0b \udcff"), State.FAILURE).error == "ValueError: a?b ?"


@pytest.mark.usefixtures("in_pool")
def test_a_retry_is_told_with_its_time() -> None:
    outcome = told(Retry("again"), State.RETRY, due_at=5.0)
    assert (outcome.state, outcome.due_at) == (State.RETRY, 5.0)
    assert told(Retry("again"), State.RETRY).due_at == pytest.approx(time.time(), abs=5)


def test_a_run_that_the_end_of_its_worker_cuts_short_uses_up_no_retry(ledger: Ledger, running: NewJob) -> None:
    assert put_back(ledger, running)
    assert counts(ledger, running) == (State.RETRY, 0, 0)
    with ledger.reading() as connection:
        assert [due.id for due in queries.due(connection, 10)] == [running.id]


@pytest.mark.parametrize(
    ("state", "counts"), [(State.FAILURE, True), (State.REVOKED, True), (State.RETRY, False)], ids=str
)
def test_a_run_that_the_worker_itself_stops_is_counted(
    ledger: Ledger, running: NewJob, monkeypatch: pytest.MonkeyPatch, state: State, counts: bool
) -> None:
    monkeypatch.setattr(backend, "ledger", lambda: ledger)

    def counted() -> float:
        labels = {"task_type": "heavy", "state": state}
        return REGISTRY.get_sample_value("warren_jobs_ended_total", labels) or 0

    before = counted()
    if state is State.REVOKED:
        with ledger.writing() as connection:
            moves.cancel(connection, running.id)
    backend.LedgerBackend(app).store_result(running.id, "stopped", state, request=Context(id=running.id, task="heavy"))
    assert counted() == before + counts
    with ledger.reading() as connection:
        found = queries.find(connection, running.id)
    assert found is not None
    assert found.state is state


def test_celery_is_told_how_a_job_has_failed(ledger: Ledger, running: NewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "ledger", lambda: ledger)
    with ledger.writing() as connection:
        moves.fail(connection, running.id, "No.", attempt=1, traceback="Traceback ...")
    told = backend.LedgerBackend(app).get_task_meta(running.id)
    assert (told["status"], str(told["result"]), told["traceback"]) == ("FAILURE", "No.", "Traceback ...")


def test_a_worker_that_ends_puts_back_nothing_of_others(ledger: Ledger, running: NewJob) -> None:
    with ledger.writing() as connection:
        moves.release(connection, [running.id], identity.worker_id(), max_deliveries=5)
        assert moves.claim(connection, [running.id], "another")[running.id].attempt == 2
    assert not put_back(ledger, running)
    assert counts(ledger, running) == (State.STARTED, 0, 1)
