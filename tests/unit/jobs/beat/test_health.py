"""What the watch notes of the stack's health: what it sees is given, and so is the time."""

import time
from collections import namedtuple
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from jobs.beat import health
from jobs.beat.health import HOLD, HealthWatch
from jobs.ledger import notices, workers
from jobs.ledger.database import Ledger
from jobs.ledger.records import QueueSample
from jobs.ledger.schema import notice, worker
from jobs.settings import settings
from tests.support.databases import on_sqlite

DOWN = "RabbitMQ does not answer: connection refused"

Usage = namedtuple("Usage", "total used free")


class Watched:
    """A watch that looks every two seconds at a stack with one living worker for all queues."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = time.time()
        self.start()
        with ledger.writing() as connection:
            workers.register(connection, "w1", "w1", "heavy,export,arithmetic", 1)

    def start(self) -> None:
        """Start anew, as beat does."""
        self.watch = HealthWatch(lambda: self.now)

    def look(self, seconds: float, *, broker: str = "", unfinished: int = 0, scheduled: int = 0) -> None:
        sample = QueueSample(
            at=self.now,
            name="heavy",
            ready=0,
            unacknowledged=0,
            consumers=1,
            unfinished=unfinished,
            scheduled=scheduled,
            in_rate=0,
            out_rate=0,
        )
        for _ in range(int(seconds / 2)):
            self.now += 2
            self.watch.look(broker, [sample])

    def noted(self) -> dict[str, tuple[int, bool, str]]:
        with self.ledger.reading() as connection:
            rows = connection.execute(select(notice).where(notice.c.channel == "webhook"))
            return {row.reason: (row.times, row.well, row.sentence) for row in rows}


@pytest.fixture
def watched(ledger: Ledger, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(settings(), "notices", "webhook")
    monkeypatch.setattr(settings(), "exports_dir", tmp_path)
    monkeypatch.setattr(health, "ledger", lambda: ledger)
    monkeypatch.setattr(health, "shutil", SimpleNamespace(disk_usage=lambda _folder: Usage(100e9, 0, 50e9)))
    return Watched(ledger)


def test_nothing_is_noted_while_all_is_well(watched: Watched) -> None:
    watched.look(60)
    assert watched.noted() == {}


def test_a_change_is_noted_once_when_it_has_lasted(watched: Watched) -> None:
    watched.look(HOLD - 2, broker=DOWN)
    watched.look(2)
    watched.look(HOLD - 2, broker=DOWN)
    assert watched.noted() == {}, "what is over at once is no news"
    watched.look(60, broker=DOWN)
    sentence = f"{DOWN}. Jobs are accepted, and run when it answers again."
    assert watched.noted() == {"health:broker": (1, False, sentence)}
    watched.look(HOLD - 2)
    assert watched.noted()["health:broker"][1] is False
    watched.look(60)
    assert watched.noted() == {"health:broker": (2, True, "RabbitMQ answers again.")}


def test_a_beat_that_starts_anew_does_not_note_it_again(watched: Watched) -> None:
    watched.look(60, broker=DOWN)
    watched.start()
    watched.look(60, broker=DOWN)
    assert watched.noted()["health:broker"][0] == 1
    watched.start()
    watched.look(60)
    assert watched.noted()["health:broker"] == (2, True, "RabbitMQ answers again.")


def test_a_channel_that_comes_later_is_told_what_is_not_well(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.look(60, broker=DOWN)
    monkeypatch.setattr(settings(), "notices", "webhook,mail")
    watched.look(60, broker=DOWN)
    assert watched.noted()["health:broker"][0] == 1
    with watched.ledger.reading() as connection:
        assert notices.channels_told_unwell(connection) == {"broker": {"webhook", "mail"}}


def test_the_last_worker_that_dies_is_noted(watched: Watched) -> None:
    with watched.ledger.writing() as connection:
        connection.execute(update(worker).values(seen_at=0))
    watched.look(60)
    assert watched.noted() == {"health:workers": (1, False, "No worker is alive. Jobs are accepted, and wait.")}


def test_a_queue_with_jobs_and_without_a_worker_is_noted(watched: Watched) -> None:
    with watched.ledger.writing() as connection:
        connection.execute(update(worker).values(queues="export,arithmetic"))
    watched.look(60)
    watched.look(60, unfinished=2, scheduled=2)
    assert watched.noted() == {}, "nobody waits"
    watched.look(60, unfinished=5, scheduled=2)
    assert watched.noted() == {"health:workers": (1, False, "No worker takes jobs from heavy (3 wait).")}


def test_a_backlog_that_goes_up_and_down_near_its_limit_is_noted_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "backlog_limit", 1000)
    watched.look(60, unfinished=899)
    assert watched.noted() == {}
    for unfinished in (900, 1000, 850, 950, 800):
        watched.look(60, unfinished=unfinished)
    times, well, sentence = watched.noted()["health:backlog"]
    assert (times, well) == (1, False)
    assert sentence == "900 jobs are not finished. From 1,000 on, new jobs are answered 503."
    watched.look(60, unfinished=799)
    assert watched.noted()["health:backlog"][:2] == (2, True)


@on_sqlite
@pytest.mark.parametrize(
    ("total", "enough", "little"), [(100e9, 5.1e9, 4.9e9), (4e12, 5.1e9, 4.9e9), (1e9, 51e6, 49e6)]
)
def test_a_disk_that_is_nearly_full_is_noted_until_there_is_room(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, total: float, enough: float, little: float
) -> None:
    def leave(free: float) -> None:
        monkeypatch.setattr(health, "shutil", SimpleNamespace(disk_usage=lambda _folder: Usage(total, 0, free)))
        watched.look(60)

    leave(enough)
    assert watched.noted() == {}
    leave(little)
    assert watched.noted()["health:disk"][2].startswith("The disk of the ledger is nearly full: ")
    leave(enough)
    assert watched.noted()["health:disk"][0] == 1, "a little more is not enough"
    leave(1.3 * enough)
    assert watched.noted()["health:disk"][:2] == (2, True)


@on_sqlite
def test_a_disk_that_cannot_be_used_is_noted_and_stops_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: object) -> Usage:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(health, "shutil", SimpleNamespace(disk_usage=fail))
    watched.look(60)
    assert watched.noted()["health:disk"][2] == "The disk of the ledger cannot be used: Input/output error."


def test_an_outage_of_the_ledger_is_noted_when_it_is_over(watched: Watched) -> None:
    def fail(seconds: float) -> None:
        for _ in range(int(seconds / 2)):
            watched.watch.ledger_failed()
            watched.now += 2

    fail(HOLD - 3)
    watched.look(2)
    assert watched.noted() == {}
    fail(40)
    watched.look(60)
    assert watched.noted() == {
        "health:ledger": (1, True, "The ledger could not be used for 42 s. It can be used again.")
    }


def test_nobody_looks_while_nobody_asked_for_notices(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Ledger:
        raise AssertionError

    look: Callable[..., None] = watched.look
    monkeypatch.setattr(settings(), "notices", "")
    monkeypatch.setattr(health, "ledger", never)
    look(60, broker=DOWN)
    assert watched.noted() == {}
