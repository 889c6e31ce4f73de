"""Recurring jobs on a real ledger."""

from dataclasses import replace

from jobs.ledger import queries, schedules
from jobs.ledger.database import Ledger
from jobs.ledger.records import Schedule
from jobs.states import State

NIGHTLY = Schedule(
    name="nightly",
    cron=None,
    every=60,
    timezone="UTC",
    type="export",
    params={"filters": {"done": True}},
    paused=False,
    created_at=0,
    next_run_at=1000,
    last_run_at=None,
    last_job_id=None,
)


def write(ledger: Ledger, schedule: Schedule = NIGHTLY) -> None:
    with ledger.writing() as connection:
        assert schedules.add(connection, schedule)


def take(ledger: Ledger, schedule: Schedule, now: float) -> str | None:
    with ledger.writing() as connection:
        return schedules.take_slot(connection, schedule, "export", now)


def test_a_schedule_is_due_from_its_slot_on(ledger: Ledger) -> None:
    write(ledger)
    write(ledger, replace(NIGHTLY, name="paused", paused=True, next_run_at=None))
    with ledger.reading() as connection:
        assert schedules.due(connection, 999.9) == []
        assert schedules.due(connection, 1000) == [NIGHTLY]


def test_a_slot_makes_one_job_and_leads_to_the_next(ledger: Ledger) -> None:
    write(ledger)
    job_id = take(ledger, NIGHTLY, now=1000.4)
    assert job_id is not None
    with ledger.reading() as connection:
        job = queries.find(connection, job_id)
        after = schedules.find(connection, "nightly")
    assert job is not None
    assert (job.type, job.queue, job.params, job.state) == ("export", "export", NIGHTLY.params, State.PENDING)
    assert job.run_at == job.due_at == 1000
    assert after == replace(NIGHTLY, next_run_at=1060, last_run_at=1000, last_job_id=job_id)


def test_two_who_see_the_same_slot_make_one_job(ledger: Ledger) -> None:
    write(ledger)
    assert take(ledger, NIGHTLY, now=1000.4) is not None
    assert take(ledger, NIGHTLY, now=1000.5) is None
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 1


def test_slots_that_were_missed_make_one_job(ledger: Ledger) -> None:
    write(ledger)
    assert take(ledger, NIGHTLY, now=9999) is not None
    with ledger.reading() as connection:
        (after,) = schedules.all_of_them(connection)
        assert queries.backlog(connection) == 1
    assert after.next_run_at == 10_000
    assert after.last_run_at == 1000


def test_a_schedule_that_was_changed_meanwhile_keeps_its_new_slot(ledger: Ledger) -> None:
    write(ledger)
    with ledger.writing() as connection:
        schedules.change(connection, "nightly", {"next_run_at": 2000})
    assert take(ledger, NIGHTLY, now=1001) is None
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 0


def test_names_are_unique_and_unknown_ones_are_told(ledger: Ledger) -> None:
    write(ledger)
    with ledger.writing() as connection:
        assert not schedules.add(connection, NIGHTLY)
        assert schedules.change(connection, "other", {"paused": True}) is None
        assert not schedules.remove(connection, "other")
        assert schedules.find(connection, "nul\0") is None
        assert schedules.remove(connection, "nightly")
        assert schedules.all_of_them(connection) == []
