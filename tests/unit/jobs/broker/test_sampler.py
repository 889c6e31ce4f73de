"""Samples of the queues while no RabbitMQ answers: what the ledger says, and why there is no more."""

import time
from types import SimpleNamespace

import pytest

from jobs.beat import sampling
from jobs.beat.leadership import Leadership
from jobs.broker import sampler
from jobs.broker.sampler import WINDOW, Sampler
from jobs.ledger import moves, samples
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, QueueSample
from jobs.settings import settings


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(sampler, "ledger", lambda: ledger)
    monkeypatch.setattr(sampler, "time", SimpleNamespace(time=made.time))
    monkeypatch.setattr(settings(), "broker_host", "127.0.0.1:1")  # where nothing listens
    return made


def add(ledger: Ledger, clock: Clock, count: int, *, run_at: float | None = None) -> list[str]:
    new = [NewJob(type="add", queue="arithmetic", params={}, created_at=clock.now, run_at=run_at) for _ in range(count)]
    with ledger.writing() as connection:
        for each in new:
            moves.add(connection, each)
    return [each.id for each in new]


def arithmetic(taken: list[QueueSample]) -> QueueSample:
    return next(sample for sample in taken if sample.name == "arithmetic")


def test_without_rabbitmq_the_jobs_are_known_and_the_messages_are_not(ledger: Ledger, clock: Clock) -> None:
    add(ledger, clock, 3)
    add(ledger, clock, 2, run_at=time.time() + 3600)
    looking = Sampler()
    found = arithmetic(looking.sample())
    assert (found.unfinished, found.scheduled, found.backlog) == (5, 2, 3)
    assert (found.ready, found.unacknowledged, found.consumers) == (None, None, None)
    assert looking.trouble == "RabbitMQ does not answer: connection refused"


def test_rates_are_those_of_the_last_minute(ledger: Ledger, clock: Clock) -> None:
    add(ledger, clock, 60)
    clock.now += 1
    looking = Sampler()
    assert arithmetic(looking.sample()).in_rate == pytest.approx(60 / WINDOW)
    for _ in range(40):  # 80 seconds, with three jobs in each look
        clock.now += 2
        add(ledger, clock, 3)
        found = arithmetic(looking.sample())
        assert 0.9 <= found.in_rate <= 2.6, "one job a second before, one and a half now: no jumps"
    assert found.in_rate == pytest.approx(1.5, abs=0.1)
    for _ in range(31):
        clock.now += 2
        found = arithmetic(looking.sample())
    assert (found.in_rate, found.out_rate) == (0, 0)


def test_jobs_that_end_count_once(ledger: Ledger, clock: Clock) -> None:
    looking = Sampler()
    ids = add(ledger, clock, 6)
    with ledger.writing() as connection:
        for job_id in ids:
            moves.cancel(connection, job_id)
    clock.now = time.time()
    first = arithmetic(looking.sample())
    second = arithmetic(looking.sample())
    assert first.out_rate == second.out_rate == pytest.approx(6 / WINDOW)


def test_samples_are_kept_for_an_hour_and_one_of_each_minute_for_a_day(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(Exception):
        pass

    #: Seconds from one look to the next: 20 s, in which no minute begins, an hour, and a day.
    steps = iter([20.0, samples.KEPT + 1, samples.MINUTES_KEPT - samples.KEPT - 10])

    def sleep(_seconds: float) -> None:
        with ledger.reading() as connection:
            found = samples.since(connection, began - 1)
        kept.append([round(sample.at - began) for sample in found if sample.name == "heavy"])
        try:
            clock.now += next(steps)
        except StopIteration:
            raise Enough from None

    kept: list[list[int]] = []
    clock.now = began = 480_000 * 3600.0 + 1
    monkeypatch.setattr(sampling, "ledger", lambda: ledger)
    monkeypatch.setattr(sampling, "time", SimpleNamespace(time=clock.time, sleep=sleep))
    leadership = Leadership(ledger)
    assert leadership.seek()
    with pytest.raises(Enough):
        sampling._record(leadership)
    leadership.leave()
    assert kept == [[0], [0, 20], [0, 3621], [3621, 86411]]
