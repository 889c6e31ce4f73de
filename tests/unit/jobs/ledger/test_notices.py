"""What is gathered for a notice, and when it may be taken to be sent. Time passes only where a test says so."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from jobs.ledger import moves, notices, workers
from jobs.ledger.database import Ledger
from jobs.ledger.notices import GATHER, INTERVAL, LEASE, Delivery
from jobs.ledger.records import NewJob
from jobs.ledger.schema import notice
from jobs.settings import settings

#: What the clock shows.
NOW = 1.8e9
SOON = GATHER + 1


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "notices", "webhook,mail")
    monkeypatch.setattr(notices, "time", SimpleNamespace(time=lambda: NOW))


def start(ledger: Ledger, kind: str = "divide") -> str:
    new = NewJob(type=kind, queue="arithmetic", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
        moves.claim(connection, [new.id], "w1")
    return new.id


def fail(ledger: Ledger, kind: str = "divide", error: str = "Cannot divide by zero.") -> str:
    job_id = start(ledger, kind)
    with ledger.writing() as connection:
        assert moves.fail(connection, job_id, error, attempt=1)
    return job_id


def take(ledger: Ledger, after: float = SOON, channel: str = "webhook") -> Delivery | None:
    """Take a notice as if it were `after` seconds later."""
    with ledger.writing() as connection:
        return notices.take(connection, channel, NOW + after, "my")


def told(ledger: Ledger, delivery: Delivery, after: float = SOON) -> None:
    with ledger.writing() as connection:
        notices.told(connection, "webhook", delivery, NOW + after)


def body(delivery: Delivery | None) -> Any:
    assert delivery is not None
    return json.loads(delivery.body)


def rows(ledger: Ledger) -> int:
    with ledger.reading() as connection:
        return len(connection.execute(select(notice)).all())


def test_failures_of_a_kind_make_one_notice(ledger: Ledger) -> None:
    fail(ledger)
    fail(ledger)
    fail(ledger, "heavy", "Gone.")
    last = fail(ledger, error="The last one.")
    first, second, third = (take(ledger) for _ in range(3))
    said = {body(each)["reason"]: body(each) for each in (first, second)}
    assert third is None
    assert said.keys() == {"failed:divide", "failed:heavy"}
    divide = said["failed:divide"]
    assert divide["count"] == 3
    assert divide["job"] == {"task_id": last, "task_type": "divide", "error": "The last one."}
    assert divide["health"] is None
    assert divide["text"] == "3 jobs of the kind divide failed within 1 s. The last one: The last one."
    assert divide["stack"] == "my"
    assert divide["first_at"] == divide["last_at"] == "2027-01-15T08:00:00.000+00:00"
    assert said["failed:heavy"]["text"] == "A job of the kind heavy failed: Gone."


def test_the_first_notice_waits_a_moment_for_more(ledger: Ledger) -> None:
    fail(ledger)
    assert take(ledger, after=GATHER - 1) is None
    assert body(take(ledger, after=GATHER + 1))["count"] == 1


def test_the_next_notice_of_a_reason_comes_a_minute_later_and_counts_what_came_meanwhile(ledger: Ledger) -> None:
    fail(ledger)
    first = take(ledger)
    assert first is not None
    fail(ledger)
    told(ledger, first)
    fail(ledger)
    fail(ledger, "heavy")
    other = take(ledger)
    assert other is not None
    assert other.reason == "failed:heavy", "another reason has a minute of its own"
    told(ledger, other)
    assert take(ledger, after=SOON + INTERVAL - 1) is None
    second = take(ledger, after=SOON + INTERVAL + 1)
    assert body(second)["count"] == 2
    assert body(second)["id"] != first.id


def test_nothing_new_is_no_notice(ledger: Ledger) -> None:
    fail(ledger)
    first = take(ledger)
    assert first is not None
    told(ledger, first)
    assert take(ledger, after=10 * INTERVAL) is None


def test_a_notice_whose_sender_died_is_sent_again_as_it_was(ledger: Ledger) -> None:
    fail(ledger)
    first = take(ledger)
    assert first is not None
    fail(ledger)
    assert take(ledger, after=SOON + LEASE - 1) is None, "its sender may still be at work"
    again = take(ledger, after=SOON + LEASE + 1)
    assert again is not None
    assert (again.id, again.body, again.tries) == (first.id, first.body, 2)
    told(ledger, again)
    assert body(take(ledger, after=SOON + INTERVAL + 1))["count"] == 1, "what came meanwhile is not lost"


def test_a_sender_that_comes_late_does_not_end_the_next_notice(ledger: Ledger) -> None:
    fail(ledger)
    first = take(ledger)
    assert first is not None
    told(ledger, first)
    fail(ledger)
    second = take(ledger, after=SOON + INTERVAL + 1)
    assert second is not None
    told(ledger, first)
    again = take(ledger, after=SOON + INTERVAL + LEASE + 2)
    assert again is not None
    assert again.id == second.id


def test_each_channel_is_told_by_itself(ledger: Ledger) -> None:
    fail(ledger)
    by_webhook, by_mail = take(ledger), take(ledger, channel="mail")
    assert by_webhook is not None
    assert by_mail is not None
    assert by_webhook.id != by_mail.id
    told(ledger, by_webhook)
    assert take(ledger, after=SOON + LEASE + 1) is None
    assert take(ledger, after=SOON + LEASE + 1, channel="mail") is not None


def test_a_job_that_its_workers_died_of_is_told_and_one_that_runs_again_is_not(ledger: Ledger) -> None:
    job_id = start(ledger)
    with ledger.writing() as connection:
        workers.retire(connection, "w1", max_deliveries=2)
    assert rows(ledger) == 0
    with ledger.writing() as connection:
        moves.claim(connection, [job_id], "w2")
        workers.retire(connection, "w2", max_deliveries=2)
    assert "died 2 times" in body(take(ledger))["text"]


def test_a_failure_that_is_not_committed_is_not_told(ledger: Ledger) -> None:
    job_id = start(ledger)
    with ledger.writing() as connection, connection.begin_nested() as undone:
        moves.fail(connection, job_id, "no", attempt=1)
        undone.rollback()
    assert rows(ledger) == 0


def test_a_report_that_no_longer_fits_is_not_told(ledger: Ledger) -> None:
    job_id = start(ledger)
    with ledger.writing() as connection:
        moves.cancel(connection, job_id)
        assert not moves.fail(connection, job_id, "too late", attempt=1)
    assert rows(ledger) == 0


def test_nothing_is_written_while_nobody_asked_for_notices(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "notices", "")
    fail(ledger)
    assert rows(ledger) == 0


def test_channels_that_are_switched_off_are_forgotten(ledger: Ledger) -> None:
    fail(ledger)
    with ledger.writing() as connection:
        notices.forget(connection, ["mail"])
    assert rows(ledger) == 1
    with ledger.writing() as connection:
        notices.forget(connection, [])
    assert rows(ledger) == 0


def test_a_change_of_health_is_noted_once_for_each_channel(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    began = NOW - 20
    monkeypatch.setattr(settings(), "notices", "webhook")
    with ledger.writing() as connection:
        notices.health_changed(connection, "broker", True, "It answers.", began)
        assert notices.channels_told_unwell(connection) == {}
    assert rows(ledger) == 0, "all is well until something else is noted"
    monkeypatch.setattr(settings(), "notices", "webhook,mail")
    for _ in range(2):
        with ledger.writing() as connection:
            notices.health_changed(connection, "broker", False, "It does not answer.", began)
            assert notices.channels_told_unwell(connection) == {"broker": {"webhook", "mail"}}
    said = body(take(ledger, after=0))
    assert said["count"] == 1
    assert said["text"] == "It does not answer."
    assert said["job"] is None
    assert said["health"] == {"part": "broker", "well": False}


def test_health_that_comes_and_goes_within_a_minute_makes_one_notice(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        notices.health_changed(connection, "broker", False, "It does not answer.", NOW - 40)
        notices.health_changed(connection, "broker", True, "It answers again.", NOW - 20)
    said = body(take(ledger, after=0))
    assert said["text"] == "It answers again. This has changed 2 times within 40 s."
    assert said["health"] == {"part": "broker", "well": True}


def test_a_very_long_sentence_is_cut(ledger: Ledger) -> None:
    fail(ledger, error="x" * 100_000)
    assert len(body(take(ledger))["job"]["error"]) == notices.LONGEST
