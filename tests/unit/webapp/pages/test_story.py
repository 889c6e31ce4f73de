"""The way of a job: what its page tells of it."""

import time
from typing import Any

import pytest
from webapp.pages import story

from jobs.ledger.records import Attempt, Job
from jobs.ledger.reports import Report
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


def shown(moments: list[story.Moment]) -> list[tuple[str, list[float]]]:
    return [(lane.place.name, [bar.width for bar in lane.bars]) for lane in story.lanes(moments)]


def test_a_job_that_waits_spends_its_time_in_the_ledger() -> None:
    moments = story.told(job(created_at=time.time() - 5), [])
    assert [(moment.text, moment.gap, moment.then) for moment in moments] == [
        ("Accepted, and on disk", None, story.LEDGER)
    ]
    [lane] = story.lanes(moments)
    assert (lane.place, lane.bars) == (story.LEDGER, [story.Bar(left=0, width=1000)])
    assert 5 <= lane.seconds < 60


def test_each_run_is_a_bar_in_the_lane_of_its_worker() -> None:
    first = Attempt(
        job_id="one", number=1, worker="w/1", started_at=1002.0, ended_at=1004.0, error="The worker was lost."
    )
    second = Attempt(job_id="one", number=2, worker="v/2", started_at=1005.0, ended_at=1006.0, error="Not yet.")
    done = job(state=State.SUCCESS, published_at=1007.0, started_at=1008.0, ended_at=1010.0, attempts=3, worker="w/1")
    moments = story.told(done, [first, second])
    assert [(moment.text, moment.gap) for moment in moments] == [
        ("Accepted, and on disk", None),
        ("Run 1 begins in w", 2.0),
        ("Put back. The worker was lost.", 2.0),
        ("Run 2 begins in v", 1.0),
        ("Put back. Not yet.", 1.0),
        ("In RabbitMQ", 1.0),
        ("Run 3 begins in w", 1.0),
        ("Ended, and on disk: SUCCESS", 2.0),
    ]
    assert shown(moments) == [
        ("Ledger", [200, 100, 100]),
        ("w", [200, 200]),
        ("v", [100]),
        ("RabbitMQ", [100]),
    ]
    assert [(lane.seconds, [bar.left for bar in lane.bars]) for lane in story.lanes(moments)] == [
        (4, [0, 400, 600]),
        (4, [200, 800]),
        (1, [500]),
        (1, [700]),
    ]


def test_a_report_stands_where_it_was_made() -> None:
    first = Attempt(job_id="one", number=1, worker="w/1", started_at=1002.0, ended_at=1004.0, error="Not yet.")
    runs = job(state=State.PROGRESS, started_at=1005.0, attempts=2, worker="v/2")
    reports = [Report(run=1, at=1003.0, percent=50, message="half"), Report(run=2, at=1006.0, percent=5, message="")]
    moments = story.told(runs, [first], reports)
    assert [(moment.text, moment.then and moment.then.name) for moment in moments[1:]] == [
        ("Run 1 begins in w", "w"),
        ("Run 1: 50 %, half", "w"),
        ("Put back. Not yet.", "Ledger"),
        ("Run 2 begins in v", "v"),
        ("Run 2: 5 %", "v"),
    ]


def test_the_run_that_a_retry_follows_is_told_once() -> None:
    first = Attempt(job_id="one", number=1, worker="w", started_at=1002.0, ended_at=1004.0, error="Not yet.")
    waits = job(state=State.RETRY, started_at=1002.0, attempts=1, retries=1, due_at=time.time() + 60)
    assert [moment.text for moment in story.told(waits, [first])] == [
        "Accepted, and on disk",
        "Run 1 begins in w",
        "Put back. Not yet.",
    ]


def test_a_time_to_wait_for_is_told_when_it_has_come() -> None:
    later = job(created_at=time.time() - 5, run_at=time.time() + 60)
    assert [moment.text for moment in story.told(later, [])] == ["Accepted, and on disk"]
    assert [moment.text for moment in story.told(job(run_at=1007.0), [])] == [
        "Accepted, and on disk",
        "Its time has come",
    ]


def test_what_took_no_time_is_still_to_be_seen() -> None:
    moments = story.told(job(published_at=1000.0, started_at=1000.0, ended_at=5000.0, attempts=1, worker="w"), [])
    widths = [width for _, bars in shown(moments) for width in bars]
    assert all(width > 3 for width in widths)
    assert sum(widths) == pytest.approx(1000, abs=0.5)
