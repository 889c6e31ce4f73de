"""The way of a job: what its page tells of it."""

import time
from typing import Any

import pytest
from webapp.pages import story

from jobs.ledger.records import Attempt, Job
from jobs.states import State


def job(**more: Any) -> Job:
    values: dict[str, Any] = {
        "seq": 1,
        "id": "one",
        "type": "add",
        "queue": "arithmetic",
        "params": {},
        "state": State.PENDING,
        "priority": 0,
        "request_id": None,
        "submitted_by": None,
        "created_at": 1000.0,
        "run_at": None,
        "due_at": None,
        "published_at": None,
        "started_at": None,
        "ended_at": None,
        "attempts": 0,
        "retries": 0,
        "deaths": 0,
        "worker": None,
        "progress": 0,
        "info": None,
        "result": None,
        "error": None,
        "failure": None,
        "retry_of": None,
    }
    return Job(**values | more)


def test_a_job_that_waits_spends_its_time_in_the_ledger() -> None:
    moments = story.told(job(created_at=time.time() - 5), [])
    assert [(moment.text, moment.gap, moment.then) for moment in moments] == [("Accepted, and on disk", None, "ledger")]
    [part] = story.bar(moments)
    assert (part.left, part.width, part.spent) == (0, 1000, "ledger")


def test_a_job_with_two_runs_is_told_in_order() -> None:
    first = Attempt(
        job_id="one", number=1, worker="w", started_at=1002.0, ended_at=1004.0, error="The worker was lost."
    )
    done = job(state=State.SUCCESS, published_at=1005.0, started_at=1006.0, ended_at=1010.0, attempts=2, worker="other")
    moments = story.told(done, [first])
    assert [(moment.text, moment.gap) for moment in moments] == [
        ("Accepted, and on disk", None),
        ("Run 1 begins in w", 2.0),
        ("Put back. The worker was lost.", 2.0),
        ("In RabbitMQ", 1.0),
        ("Run 2 begins in other", 1.0),
        ("Ended, and on disk: SUCCESS", 4.0),
    ]
    parts = story.bar(moments)
    assert [part.spent for part in parts] == ["ledger", "run", "ledger", "broker", "run"]
    assert [part.width for part in parts] == [200, 200, 100, 100, 400]
    assert parts[-1].left + parts[-1].width == pytest.approx(1000)


def test_the_run_that_a_retry_follows_is_told_once() -> None:
    first = Attempt(job_id="one", number=1, worker="w", started_at=1002.0, ended_at=1004.0, error="Not yet.")
    waits = job(state=State.RETRY, started_at=1002.0, attempts=1, retries=1, worker="w", due_at=time.time() + 60)
    assert [moment.text for moment in story.told(waits, [first])] == [
        "Accepted, and on disk",
        "Run 1 begins in w",
        "Put back. Not yet.",
    ]


def test_what_took_no_time_is_still_to_be_seen() -> None:
    moments = story.told(job(published_at=1000.0, started_at=1000.0, ended_at=5000.0, attempts=1, worker="w"), [])
    parts = story.bar(moments)
    assert all(part.width > 3 for part in parts)
    assert sum(part.width for part in parts) == pytest.approx(1000, abs=0.5)
