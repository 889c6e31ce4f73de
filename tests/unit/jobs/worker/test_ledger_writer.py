"""The writer of a worker on a real ledger; Celery's event loop, pool and requests are pretended."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from celery.worker import state as worker_state
from prometheus_client import REGISTRY
from sqlalchemy import Connection, event

from jobs import identity
from jobs.ledger import moves, queries, tracebacks
from jobs.ledger.database import Ledger
from jobs.ledger.records import Job, NewJob, Outcome
from jobs.states import State
from jobs.worker import bundle, ledger_writer
from jobs.worker.ledger_writer import LedgerWriter
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.postgresql import Server


class Request:
    """What the writer and its bundles see of a message."""

    in_ledger = True
    name = "add"
    time_start = 0.0
    acknowledged = False
    attempt = 0
    about: ClassVar[dict[str, Any]] = {}

    def __init__(self, ledger: Ledger, job_id: str, *, quick: bool = False) -> None:
        self._ledger = ledger
        self.id = job_id
        self.quick = quick
        #: What was done with the message, and the state of the job then.
        self.fate: tuple[str, State] | None = None

    def message(self) -> tuple[str, int]:
        return self.id, self.attempt

    def limits(self) -> dict[str, Any]:
        return {}

    def settle(self, celerys: Any) -> None:
        self._met("acknowledged")

    def drop(self) -> None:
        self._met("dropped")

    def give_back(self) -> None:
        self._met("given back")

    def on_failure(self, error: Any) -> None:
        self._met("failed")

    def on_accepted(self, pid: int, moment: float) -> None:
        self.time_start = time.time()

    def _met(self, fate: str) -> None:
        self.acknowledged = True
        self.fate = fate, look(self._ledger, self.id).state


class Worker:
    """An event loop that turns when it is told to, and a pool that only notes what it is given."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.free_slots = 0
        self.sent: list[dict[str, Any]] = []
        self.closing = False
        hub = SimpleNamespace(call_soon=self.soon.append, call_later=lambda *call: self.later.append(call))
        self.writer = LedgerWriter(
            SimpleNamespace(
                hub=hub,
                pool=SimpleNamespace(apply_async=self._send),
                semaphore=SimpleNamespace(release=self._release),
            )
        )

    def turn(self) -> None:
        """Have the event loop make one turn."""
        calls, self.soon[:] = list(self.soon), []
        for call in calls:
            call()

    def jobs_sent(self) -> list[list[str]]:
        return [[job_id for job_id, _ in sent["args"]] for sent in self.sent]

    def _send(self, _run: Any, **sent: Any) -> Any:
        self.sent.append(sent)
        return None if self.closing else set()  # something that can be referred to weakly

    def _release(self) -> None:
        self.free_slots += 1


@pytest.fixture
def worker(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(ledger_writer, "ledger", lambda: ledger)
    return Worker()


def accept(ledger: Ledger, count: int = 1) -> list[str]:
    new = [NewJob(type="add", queue="arithmetic", params={"a": 1, "b": 2}) for _ in range(count)]
    with ledger.writing() as connection:
        moves.add(connection, *new)
    return [each.id for each in new]


def look(ledger: Ledger, job_id: str) -> Job:
    with ledger.reading() as connection:
        found = queries.find(connection, job_id)
    assert found is not None
    return found


def run(ledger: Ledger, worker: Worker, count: int = 1) -> list[Request]:
    """Have so many jobs run."""
    requests = [Request(ledger, job_id) for job_id in accept(ledger, count)]
    for request in requests:
        worker.writer.claim(request)  # type: ignore[arg-type]
    worker.turn()
    return requests


def store(worker: Worker, request: Request, result: Any = 3, **more: Any) -> None:
    worker.writer.store(request, Outcome(job_id=request.id, attempt=1, result=result, **more), None)  # type: ignore[arg-type]


def test_a_job_is_claimed_and_then_sent_to_the_pool(ledger: Ledger, worker: Worker) -> None:
    (request,) = run(ledger, worker)
    claimed = look(ledger, request.id)
    assert (claimed.state, claimed.attempts, claimed.worker) == (State.STARTED, 1, identity.worker_id())
    assert worker.sent[0]["args"] == [(request.id, 1)]


def test_a_message_is_acknowledged_after_its_outcome_is_stored(ledger: Ledger, worker: Worker) -> None:
    (request,) = run(ledger, worker)
    store(worker, request)
    assert request.fate is None
    worker.turn()
    assert request.fate == ("acknowledged", State.SUCCESS)
    assert look(ledger, request.id).result == 3


def test_all_that_a_turn_brings_is_one_transaction(ledger: Ledger, worker: Worker) -> None:
    ended = run(ledger, worker, 3)
    begun = [Request(ledger, job_id) for job_id in accept(ledger, 2)]
    commits: list[Connection] = []
    event.listen(ledger._engine, "commit", commits.append)
    for request in ended:
        store(worker, request)
    for request in begun:
        worker.writer.claim(request)  # type: ignore[arg-type]
    worker.turn()
    assert len(commits) == 1
    assert {look(ledger, each.id).state for each in ended} == {State.SUCCESS}
    assert {look(ledger, each.id).state for each in begun} == {State.STARTED}


@pytest.mark.parametrize(
    ("outcome", "state"), [({"state": State.FAILURE}, State.FAILURE), ({"state": State.RETRY}, State.RETRY)]
)
def test_a_run_that_went_badly_is_told_as_well(
    ledger: Ledger, worker: Worker, outcome: dict[str, Any], state: State
) -> None:
    (request,) = run(ledger, worker)
    store(worker, request, None, error="No.", **outcome)
    worker.turn()
    assert request.fate == ("acknowledged", state)
    assert look(ledger, request.id).error == "No."


def test_the_traceback_of_a_failure_is_kept(ledger: Ledger, worker: Worker) -> None:
    (request,) = run(ledger, worker)
    store(worker, request, None, error="No.", state=State.FAILURE, traceback="Traceback ...")
    worker.turn()
    with ledger.reading() as connection:
        assert tracebacks.find(connection, request.id) == "Traceback ..."


def test_an_outcome_that_comes_too_late_is_dropped(ledger: Ledger, worker: Worker) -> None:
    (request,) = run(ledger, worker)
    with ledger.writing() as connection:
        moves.cancel(connection, request.id)
    store(worker, request)
    worker.turn()
    assert request.fate == ("acknowledged", State.REVOKED)


def test_a_second_message_of_a_job_is_dropped_also_in_the_same_turn(ledger: Ledger, worker: Worker) -> None:
    (job_id,) = accept(ledger)
    first, second = Request(ledger, job_id), Request(ledger, job_id)
    worker.writer.claim(first)  # type: ignore[arg-type]
    worker.writer.claim(second)  # type: ignore[arg-type]
    worker.turn()
    assert worker.jobs_sent() == [[job_id]]
    assert (first.fate, second.fate) == (None, ("dropped", State.STARTED))
    assert worker.free_slots == 1


def test_a_job_sent_by_delay_gets_its_row(ledger: Ledger, worker: Worker) -> None:
    new = NewJob(type="add", queue="arithmetic", params={"a": 1, "b": 2})
    request: Any = Request(ledger, new.id)
    request.in_ledger, request.as_new_job = False, lambda: new
    worker.writer.claim(request)
    worker.turn()
    assert look(ledger, new.id).state is State.STARTED
    assert worker.jobs_sent() == [[new.id]]


def test_quick_jobs_share_a_slot_and_others_do_not(ledger: Ledger, worker: Worker) -> None:
    quick = [Request(ledger, job_id, quick=True) for job_id in accept(ledger, bundle.LARGEST + 1)]
    slow = [Request(ledger, job_id) for job_id in accept(ledger, 2)]
    for request in (*quick, *slow):
        worker.writer.claim(request)  # type: ignore[arg-type]
    worker.turn()
    ids = [request.id for request in quick]
    assert worker.jobs_sent() == [ids[: bundle.LARGEST], ids[bundle.LARGEST :], [slow[0].id], [slow[1].id]]
    assert worker.free_slots == bundle.LARGEST - 1


def test_a_job_that_has_run_before_runs_alone(ledger: Ledger, worker: Worker) -> None:
    quick = [Request(ledger, job_id, quick=True) for job_id in accept(ledger, 3)]
    with ledger.writing() as connection:
        moves.claim(connection, [quick[1].id], "another")
        moves.release(connection, [quick[1].id], "another", 5)
    for request in quick:
        worker.writer.claim(request)  # type: ignore[arg-type]
    worker.turn()
    assert sorted(worker.jobs_sent()) == sorted([[quick[0].id, quick[2].id], [quick[1].id]])


def test_when_a_process_dies_of_a_bundle_all_its_messages_go_back(ledger: Ledger, worker: Worker) -> None:
    quick = [Request(ledger, job_id, quick=True) for job_id in accept(ledger, 3)]
    for request in quick:
        worker.writer.claim(request)  # type: ignore[arg-type]
    worker.turn()
    worker.sent[0]["error_callback"](Exception("the process is gone"))
    assert [request.fate for request in quick] == [("given back", State.STARTED)] * 3


def test_when_the_time_of_a_bundle_is_over_all_its_messages_go_back(ledger: Ledger, worker: Worker) -> None:
    quick = [Request(ledger, job_id, quick=True) for job_id in accept(ledger, 2)]
    for request in quick:
        worker.writer.claim(request)  # type: ignore[arg-type]
    worker.turn()
    worker.sent[0]["timeout_callback"](soft=False, timeout=120)
    worker.sent[0]["error_callback"](Exception("the process was killed"))
    assert [request.fate for request in quick] == [("given back", State.STARTED)] * 2


def test_when_a_process_dies_of_one_job_celery_sees_to_it(ledger: Ledger, worker: Worker) -> None:
    (request,) = run(ledger, worker)
    worker.sent[0]["error_callback"](Exception("the process is gone"))
    assert request.fate == ("failed", State.STARTED)


def test_an_outcome_that_the_ledger_does_not_take_spoils_no_other(ledger: Ledger, worker: Worker) -> None:
    good, bad, also_good = run(ledger, worker, 3)
    store(worker, good)
    store(worker, bad, object())
    store(worker, also_good)
    worker.turn()
    assert good.fate == also_good.fate == ("acknowledged", State.SUCCESS)
    assert bad.fate == ("given back", State.STARTED)


@on_sqlite
def test_a_ledger_that_is_locked_is_tried_again(
    ledger: Ledger, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (request,) = run(ledger, worker)
    with ledger.reading() as other:
        with ledger.reading() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        store(worker, request)
        worker.turn()
        assert request.fate is None
        other.exec_driver_sql("COMMIT")
    (pause, again) = worker.later[-1]
    assert pause == ledger_writer.PAUSE
    again()
    assert request.fate == ("acknowledged", State.SUCCESS)


@on_postgresql
def test_a_server_that_is_away_is_tried_again(ledger: Ledger, worker: Worker, server: Server) -> None:
    (request,) = run(ledger, worker)
    with server.outage(ledger.url):
        store(worker, request)
        worker.turn()
        assert request.fate is None
    (_, again) = worker.later[-1]
    again()
    assert request.fate == ("acknowledged", State.SUCCESS)


@on_postgresql
def test_claims_are_durable_where_a_worker_may_outlive_the_ledgers_machine(ledger: Ledger, worker: Worker) -> None:
    settings: list[str] = []

    def note(connection: Connection) -> None:
        settings.append(str(connection.exec_driver_sql("SHOW synchronous_commit").scalar()))

    (request,) = (Request(ledger, job_id) for job_id in accept(ledger))
    event.listen(ledger._engine, "commit", note)
    worker.writer.claim(request)  # type: ignore[arg-type]
    worker.turn()
    event.remove(ledger._engine, "commit", note)
    assert settings == ["on"]
    with ledger.writing(durable=False) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"


@on_sqlite
def test_messages_go_back_when_the_ledger_stays_locked(
    ledger: Ledger, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (request,) = run(ledger, worker)
    (waiting,) = (Request(ledger, job_id) for job_id in accept(ledger))
    monkeypatch.setattr(ledger_writer, "PATIENCE", -1.0)
    with ledger.reading() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        store(worker, request)
        worker.writer.claim(waiting)  # type: ignore[arg-type]
        worker.turn()
        other.exec_driver_sql("COMMIT")
    assert request.fate == ("given back", State.STARTED)
    assert waiting.fate == ("given back", State.PENDING)


def test_a_worker_that_stops_writes_at_once(ledger: Ledger, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    (request,) = run(ledger, worker)
    monkeypatch.setattr(worker_state, "should_stop", 0)
    store(worker, request)
    assert request.fate == ("acknowledged", State.SUCCESS)


def test_a_pool_that_is_closing_takes_nothing_and_outcomes_are_stored_all_the_same(
    ledger: Ledger, worker: Worker
) -> None:
    (ended,) = run(ledger, worker)
    worker.closing = True
    (claimed,) = (Request(ledger, job_id) for job_id in accept(ledger))
    worker.writer.claim(claimed)  # type: ignore[arg-type]
    store(worker, ended)
    worker.turn()
    assert ended.fate == ("acknowledged", State.SUCCESS)
    assert claimed.fate is None


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"warren_{name}", {"task_type": "add", **labels}) or 0


def test_runs_are_counted_by_what_they_come_to(ledger: Ledger, worker: Worker) -> None:
    def counts() -> list[float]:
        return [
            counted("queue_wait_seconds_count"),
            counted("run_duration_seconds_count"),
            counted("jobs_ended_total", state="SUCCESS"),
            counted("jobs_ended_total", state="FAILURE"),
            counted("retries_total"),
        ]

    before = counts()
    well, badly, again = run(ledger, worker, 3)
    assert counts() == [before[0] + 3, *before[1:]]
    store(worker, well)
    store(worker, badly, state=State.FAILURE, error="It went wrong.")
    store(worker, again, state=State.RETRY, error="Not yet.", due_at=time.time())
    worker.turn()
    assert [count - earlier for count, earlier in zip(counts(), before, strict=True)] == [3, 3, 1, 1, 1]
    # The second run of a job is no wait in the queue: before it was the pause that the job had asked for.
    worker.writer.claim(again)  # type: ignore[arg-type]
    worker.turn()
    assert look(ledger, again.id).attempts == 2
    assert counted("queue_wait_seconds_count") == before[0] + 3


@pytest.mark.parametrize("run_at", [None, -50])
def test_a_wait_begins_when_the_job_could_have_started(ledger: Ledger, worker: Worker, run_at: float | None) -> None:
    now = time.time()
    new = NewJob(
        type="add", queue="arithmetic", params={}, created_at=now - 100, run_at=None if run_at is None else now + run_at
    )
    with ledger.writing() as connection:
        moves.add(connection, new)
    before = counted("queue_wait_seconds_sum")
    worker.writer.claim(Request(ledger, new.id))  # type: ignore[arg-type]
    worker.turn()
    assert counted("queue_wait_seconds_sum") - before == pytest.approx(50 if run_at else 100, abs=5)


def test_after_a_busy_turn_the_next_one_waits_for_more(
    ledger: Ledger, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_writer, "TURN", 60.0)  # on a slow machine a shorter one is over before the test looks
    requests = run(ledger, worker, ledger_writer.LOAD)
    store(worker, requests[0])
    assert worker.soon == []
    assert 0 < worker.later[-1][0] <= ledger_writer.TURN
