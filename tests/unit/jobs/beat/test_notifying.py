"""A sender of notices, with a receiver that takes them, or does not, or kills it. The clock is that of the test."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from jobs.beat import notifying
from jobs.beat.channels import NotSent
from jobs.beat.notifying import LONGEST_BACKOFF, Notifier
from jobs.ledger import notices
from jobs.ledger.database import Ledger
from jobs.ledger.notices import INTERVAL, LEASE, Delivery
from jobs.settings import settings


class Killed(BaseException):
    """The process ends here."""


class Receiver:
    """Takes notices at the times of its own clock, or does what it is told to."""

    def __init__(self) -> None:
        self.now = 1.8e9
        self.received: list[Delivery] = []
        self.tried: list[float] = []
        self.trouble: BaseException | None = None

    def clock(self) -> float:
        return self.now

    def send(self, delivery: Delivery) -> None:
        self.tried.append(self.now)
        if not isinstance(self.trouble, NotSent):
            self.received.append(delivery)
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def beat(ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Notifier]:
    """Return what makes a sender, as a beat does that starts."""
    monkeypatch.setattr(settings(), "notices", "webhook")
    monkeypatch.setattr(notifying, "ledger", lambda: ledger)
    monkeypatch.setattr(notices, "time", SimpleNamespace(time=receiver.clock))
    return lambda: Notifier("webhook", receiver.send, receiver.clock)


def happen(ledger: Ledger, reason: str = "divide") -> None:
    with ledger.writing() as connection:
        notices.job_failed(connection, reason, "id", "error")


def pass_time(notifier: Notifier, receiver: Receiver, seconds: float) -> None:
    for _ in range(int(seconds)):
        receiver.now += 1
        notifier.send_due()


def counts(received: list[Delivery]) -> list[int]:
    return [int(delivery.body.partition('"count": ')[2].partition(",")[0]) for delivery in received]


def test_many_failures_are_told_once_a_minute(ledger: Ledger, receiver: Receiver, beat: Callable[[], Notifier]) -> None:
    notifier = beat()
    for _ in range(3 * 60):
        happen(ledger)
        pass_time(notifier, receiver, 1)
    assert len(receiver.tried) == 3
    assert all(later - earlier >= INTERVAL for earlier, later in zip(receiver.tried, receiver.tried[1:], strict=False))
    pass_time(notifier, receiver, 2 * INTERVAL)
    assert sum(counts(receiver.received)) == 180
    assert len({delivery.id for delivery in receiver.received}) == len(receiver.received) == 4


def test_a_notice_that_is_not_taken_is_tried_again_less_and_less_often(
    ledger: Ledger, receiver: Receiver, beat: Callable[[], Notifier], caplog: pytest.LogCaptureFixture
) -> None:
    notifier = beat()
    happen(ledger)
    receiver.trouble = NotSent("example.com answered 500")
    pass_time(notifier, receiver, 300)
    waits = [later - earlier for earlier, later in zip(receiver.tried, receiver.tried[1:], strict=False)]
    assert waits[:5] == [2, 4, 8, 16, 32]
    assert set(waits[5:]) == {LONGEST_BACKOFF}
    assert "failed:divide: notice" in caplog.text
    assert "is tried again in 2 s: example.com answered 500" in caplog.text
    happen(ledger)
    receiver.trouble = None
    pass_time(notifier, receiver, 2 * INTERVAL + 1)
    assert counts(receiver.received) == [1, 1], "what was tried, as it was, and later what came meanwhile"


def test_one_that_is_not_taken_does_not_keep_others_for_ever(
    ledger: Ledger, receiver: Receiver, beat: Callable[[], Notifier]
) -> None:
    notifier = beat()
    happen(ledger)
    happen(ledger, "heavy")
    receiver.trouble = NotSent("no")
    pass_time(notifier, receiver, 20)
    receiver.trouble = None
    pass_time(notifier, receiver, 20)
    assert {delivery.reason for delivery in receiver.received} == {"failed:divide", "failed:heavy"}


def test_whoever_dies_before_sending_has_lost_nothing(
    ledger: Ledger, receiver: Receiver, beat: Callable[[], Notifier]
) -> None:
    happen(ledger)
    receiver.now += 10
    # Taken, and then the process ends.
    taken = beat()._take()
    assert taken is not None
    happen(ledger)
    pass_time(beat(), receiver, LEASE + 1)
    assert [(each.id, each.body) for each in receiver.received] == [(taken.id, taken.body)]
    pass_time(beat(), receiver, INTERVAL + 1)
    assert counts(receiver.received) == [1, 1]


def test_whoever_dies_after_sending_sends_the_same_again(
    ledger: Ledger, receiver: Receiver, beat: Callable[[], Notifier]
) -> None:
    happen(ledger)
    receiver.now += 10
    receiver.trouble = Killed()
    with pytest.raises(Killed):
        beat().send_due()
    receiver.trouble = None
    happen(ledger)
    pass_time(beat(), receiver, LEASE + INTERVAL + 2)
    first, again, second = receiver.received
    assert (again.id, again.body) == (first.id, first.body), "so that the receiver can tell"
    assert second.id != first.id
    assert counts(receiver.received) == [1, 1, 1]


def test_two_beats_send_a_notice_once(ledger: Ledger, receiver: Receiver, beat: Callable[[], Notifier]) -> None:
    one, other = beat(), beat()
    for _ in range(20):
        happen(ledger)
        pass_time(one, receiver, 3)
        other.send_due()
    pass_time(one, receiver, 2 * INTERVAL)
    assert sum(counts(receiver.received)) == 20
    assert len({delivery.id for delivery in receiver.received}) == len(receiver.received)


def test_a_beat_that_starts_forgets_channels_that_are_off(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "ledger", lambda: ledger)
    monkeypatch.setattr(settings(), "notices", "webhook")
    happen(ledger)
    monkeypatch.setattr(settings(), "notices", "")
    notifying.start_sending()
    with ledger.reading() as connection:
        assert not notices.is_due(connection, "webhook", 4e9)
