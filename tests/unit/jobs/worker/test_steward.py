"""The steward's looks at a real ledger, on behalf of a worker that is only pretended."""

import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from jobs import heartbeat, identity
from jobs.ledger import moves, queries, workers
from jobs.ledger.database import Ledger
from jobs.ledger.records import Job, NewJob, Outcome
from jobs.states import State
from jobs.worker import ledger_writer, retirement, steward


class Ended(Exception):
    """The process would have ended."""


class Worker:
    """What the steward sees of Celery: requests, and a hub that calls functions in the worker's own thread."""

    def __init__(self, ledger: Ledger) -> None:
        self.called: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        hub = SimpleNamespace(call_soon=lambda function, *arguments: self.called.append((function, arguments)))
        consumer = SimpleNamespace(hub=hub, connection=SimpleNamespace(connected=True))
        pool = SimpleNamespace(info={"processes": [1, 2]})
        self.sent: list[Any] = []
        pool.apply_async = lambda _run, args, **_: self.sent.append(args)
        controller = SimpleNamespace(consumer=consumer, pool=pool, hub=hub, semaphore=None)
        self.steward = steward.Steward(controller)
        self.writer = ledger_writer.LedgerWriter(controller)
        ledger.insist(self.steward._register, patience=0)
        self.requests: list[SimpleNamespace] = []

    def runs(self, job_id: str, began: float) -> None:
        """Have the worker hold a request that runs."""
        request = SimpleNamespace(id=job_id, about={}, time_start=began, terminate=lambda *_: None)
        self.requests.append(request)

    def look(self) -> None:
        self.steward._look()

    def terminated(self) -> int:
        return sum(function.__name__ != "_loop_turned" for function, _ in self.called)


@pytest.fixture
def worker(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(steward, "ledger", lambda: ledger)
    made = Worker(ledger)
    monkeypatch.setattr(ledger_writer, "_writer", made.writer)
    monkeypatch.setattr(ledger_writer, "ledger", lambda: ledger)
    monkeypatch.setattr(state, "active_requests", made.requests)
    monkeypatch.setattr(heartbeat, "beat", lambda: None)
    return made


@pytest.fixture
def running(ledger: Ledger, worker: Worker) -> str:
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
        assert moves.claim(connection, [new.id], identity.worker_id())[new.id].attempt == 1
    return new.id


def job(ledger: Ledger, job_id: str) -> Job:
    with ledger.reading() as connection:
        found = queries.find(connection, job_id)
    assert found is not None
    return found


def test_a_run_that_no_process_has_is_released_at_the_second_look(ledger: Ledger, worker: Worker, running: str) -> None:
    worker.look()
    assert job(ledger, running).state is State.STARTED
    worker.look()
    assert (job(ledger, running).state, job(ledger, running).deaths) == (State.RETRY, 1)


def test_a_run_that_is_under_way_is_left_alone(ledger: Ledger, worker: Worker, running: str) -> None:
    worker.runs(running, time.time())
    for _ in range(3):
        worker.look()
    assert job(ledger, running).state is State.STARTED
    assert worker.terminated() == 0


@pytest.mark.parametrize(("began", "terminated"), [(-60, 1), (60, 0)], ids=["before", "after"])
def test_a_cancelled_run_is_ended_if_it_began_before_it_was_cancelled(
    ledger: Ledger, worker: Worker, running: str, began: float, terminated: int
) -> None:
    worker.runs(running, time.time() + began)
    with ledger.writing() as connection:
        moves.cancel(connection, running)
    worker.look()
    assert worker.terminated() == terminated


def test_a_worker_that_has_lost_its_lease_ends(ledger: Ledger, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", end)
    worker.look()
    with ledger.writing() as connection:
        workers.retire(connection, identity.worker_id(), 5)
    with pytest.raises(Ended, match=str(os.EX_TEMPFAIL)):
        worker.look()


def test_a_worker_that_stops_gives_back_what_it_holds_and_signs_off(
    ledger: Ledger, worker: Worker, running: str
) -> None:
    worker.steward.stop()
    assert (job(ledger, running).state, job(ledger, running).deaths) == (State.RETRY, 0)
    with ledger.reading() as connection:
        assert workers.registered(connection) == []


def test_a_worker_that_is_retired_leaves_when_nothing_runs_any_more(
    ledger: Ledger, worker: Worker, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []
    monkeypatch.setattr(retirement, "asked", lambda: True)
    monkeypatch.setattr(retirement, "leave", lambda: left.append(True))
    worker.runs(running, time.time())
    worker.look()
    assert retirement.take_no_more in [function for function, _ in worker.called]
    with ledger.reading() as connection:
        assert [each.queues for each in workers.registered(connection)] == [""]
    monkeypatch.setattr(retirement, "took_last", lambda: True)
    worker.look()
    assert not left, "a job runs"
    with ledger.writing() as connection:
        moves.succeed(connection, Outcome(job_id=running, attempt=1))
    worker.look()
    assert not left, "its message is not acknowledged yet"
    worker.requests.clear()
    worker.look()
    assert left == [True]


def test_a_worker_that_is_drained_takes_no_more_and_stays(
    ledger: Ledger, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []
    monkeypatch.setattr(retirement, "leave", lambda: left.append(True))
    worker.look()
    assert retirement.take_no_more not in [function for function, _ in worker.called]
    with ledger.writing() as connection:
        workers.take_no_more(connection, identity.worker_id())
    worker.look()
    assert retirement.take_no_more in [function for function, _ in worker.called]
    monkeypatch.setattr(retirement, "took_last", lambda: True)
    worker.look()
    assert not left, "Docker would start it again"
    monkeypatch.setattr(retirement, "asked", lambda: True)
    worker.look()
    assert left == [True]


def test_a_pool_counts_as_working_when_one_of_its_processes_has_lived_for_a_while(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(steward, "time", SimpleNamespace(monotonic=lambda: now))
    watched: Any = worker.steward
    processes = watched._controller.pool.info
    assert watched._pool_works(), "the first pool that a worker has"
    for generation in range(3, 6):  # all die at their start, and are replaced
        processes["processes"] = [10 * generation, 10 * generation + 1]
        now += 1
        assert not watched._pool_works()
    now += steward.SETTLED
    assert watched._pool_works()


def test_claims_that_the_event_loop_has_forgotten_are_made_all_the_same(ledger: Ledger, worker: Worker) -> None:
    """Where it loses the connection to RabbitMQ, it may drop what it was to call soon."""
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
    request = SimpleNamespace(
        id=new.id, name="heavy", in_ledger=True, quick=False, about={}, message=lambda: new.id, limits=lambda: {}
    )
    worker.writer.claim(request)  # type: ignore[arg-type]
    worker.called.clear()
    worker.look()
    for function, arguments in worker.called:
        function(*arguments)
    assert worker.sent == [[new.id]]
    assert job(ledger, new.id).state is State.STARTED
