"""Summaries of each kind of job: every job that has ended is in them once, in the minute and in the hour of its end."""

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError

from jobs.beat import summing
from jobs.histogram import bucket
from jobs.ledger import attempts, moves, summaries
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, new_id
from jobs.ledger.schema import job, summary
from jobs.ledger.summaries import Summary, add_up, histories
from jobs.states import State
from jobs.windows import HOUR, MINUTE, WINDOWS

#: What the clock shows: thirty seconds after an hour has begun.
NOW = 480_000 * 3600.0 + 30


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def time(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (summaries, summing, moves, attempts):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=made.time, monotonic=made.time))
    return made


def ended(ledger: Ledger, *ends: float, kind: str = "add", state: State = State.SUCCESS, **more: Any) -> None:
    """Write jobs that ended then, a second after they began, and two after they were accepted."""
    with ledger.writing() as connection:
        connection.execute(
            insert(job),
            [
                {
                    "id": new_id(),
                    "type": kind,
                    "queue": "arithmetic",
                    "params": {},
                    "state": state,
                    "created_at": at - 2,
                    "started_at": at - 1,
                    "ended_at": at,
                    "attempts": 1,
                }
                | more
                for at in ends
            ],
        )


def total(ledger: Ledger, window: str = "1h", kind: str = "add") -> Summary:
    with ledger.reading() as connection:
        found = histories(connection, WINDOWS[window]).get(kind)
    return found.total if found else Summary()


def test_each_job_counts_once_however_often_somebody_looks(ledger: Ledger) -> None:
    ended(ledger, NOW - 20, NOW - 10)
    assert add_up(ledger, NOW - 15) == (NOW - 15, True)
    assert add_up(ledger, NOW - 15) == (NOW - 15, True)
    assert total(ledger).succeeded == 1
    assert add_up(ledger, NOW) == (NOW, True)
    assert add_up(ledger, NOW) == (NOW, True)
    assert total(ledger).succeeded == 2


def test_many_are_added_up_little_by_little_and_none_is_forgotten(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "CHUNK", 3)
    ended(ledger, *(NOW - 25 + step // 4 for step in range(20)))  # four at each moment
    looks = 0
    while not add_up(ledger, NOW)[1]:
        looks += 1
    assert looks > 3
    assert total(ledger).succeeded == 20


def test_states_and_kinds_are_told_apart(ledger: Ledger) -> None:
    ended(ledger, NOW - 1, NOW - 2)
    ended(ledger, NOW - 1, state=State.FAILURE)
    ended(ledger, NOW - 1, state=State.REVOKED)
    ended(ledger, NOW - 1, kind="divide", state=State.FAILURE)
    add_up(ledger, NOW)
    found = total(ledger)
    assert (found.succeeded, found.failed, found.cancelled, found.ended) == (2, 1, 1, 4)
    assert (found.waits.total(), found.runs.total()) == (4, 3), "the run of a cancelled job was cut short"
    assert total(ledger, kind="divide").failed == 1


def test_a_job_that_was_cancelled_before_it_ran_has_no_times(ledger: Ledger) -> None:
    ended(ledger, NOW - 1, state=State.REVOKED, started_at=None, attempts=0)
    add_up(ledger, NOW)
    assert total(ledger) == Summary(cancelled=1)


def test_a_job_waits_from_when_it_could_have_run_to_its_first_run(ledger: Ledger, clock: Clock) -> None:
    ended(ledger, NOW - 1, created_at=NOW - 9000, run_at=NOW - 4, started_at=NOW - 2)
    new = NewJob(type="add", queue="arithmetic", params={}, created_at=NOW - 2)
    with ledger.writing() as connection:
        moves.add(connection, new)
        moves.claim(connection, [new.id], "w1")
        clock.now += 1
        moves.retry_later(connection, new.id, "Not yet.", clock.now, attempt=1)
        clock.now += 100
        moves.claim(connection, [new.id], "w1")
        clock.now += 2
        moves.fail(connection, new.id, "No.", attempt=2)
    add_up(ledger, clock.now)
    found = total(ledger)
    assert found.waits == {bucket(2): 2}
    assert found.runs == {bucket(1): 1, bucket(2): 1}


def test_a_window_has_the_present_slot_and_those_before_it(ledger: Ledger) -> None:
    first_minute = NOW // MINUTE * MINUTE - 59 * MINUTE
    ended(ledger, first_minute, first_minute - 1, NOW - 6 * 24 * HOUR, NOW)
    add_up(ledger, NOW)
    assert [total(ledger, window).succeeded for window in WINDOWS] == [2, 3, 4]
    with ledger.reading() as connection:
        history = histories(connection, WINDOWS["1h"], "add")["add"]
    assert {place: slot.ended for place, slot in history.slots.items()} == {0: 1, 59: 1}
    assert (history.began_at, history.lasted) == (first_minute, NOW - first_minute)


def test_what_is_old_goes_and_the_table_stays_small(ledger: Ledger, clock: Clock) -> None:
    for _ in range(50):
        clock.now += 6 * HOUR
        ended(ledger, clock.now)
        add_up(ledger, clock.now)
    with ledger.reading() as connection:
        rows = connection.execute(select(summary.c.span, func.count()).group_by(summary.c.span)).all()
    assert dict(map(tuple, rows)) == {MINUTE: 1, HOUR: 32}


def test_beat_adds_up_only_what_every_worker_has_had_the_time_to_write(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summing, "ledger", lambda: ledger)
    beat = summing.Summing()

    def look() -> int:
        clock.now += summing.EVERY
        beat.look()
        return total(ledger).succeeded

    ended(ledger, clock.now)
    assert look() == 0, "the first look only finds out that the ledger can be written"
    between = clock.now + 1
    assert look() == 1
    ended(ledger, between)  # written late, because its worker had to wait
    assert look() == 2
    assert beat.until == clock.now - summing.EVERY


def test_a_look_that_could_not_write_does_not_count(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summing, "ledger", lambda: ledger)
    beat = summing.Summing()
    beat.look()
    with monkeypatch.context() as locked:
        locked.setattr(ledger, "writing", lambda **_: (_ for _ in ()).throw(OperationalError("", None, Exception())))
        clock.now += summing.EVERY
        with pytest.raises(OperationalError):
            beat.look()
    clock.now += summing.EVERY
    beat.look()
    ended(ledger, clock.now - 1)  # a worker could not write it either, and does now
    clock.now += summing.EVERY
    beat.look()
    assert total(ledger).succeeded == 1
