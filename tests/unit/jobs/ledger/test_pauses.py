"""Paused queues: no job of them starts, and none is lost."""

import time

from jobs.ledger import moves, pauses, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import Job, NewJob, Priority
from jobs.states import State


def accept(ledger: Ledger, type_: str = "heavy", queue: str = "heavy", priority: int = 0) -> NewJob:
    new = NewJob(type=type_, queue=queue, params={}, priority=priority, created_at=time.time() - 60)
    with ledger.writing() as connection:
        moves.add(connection, new)
    return new


def published(ledger: Ledger, new: NewJob) -> None:
    with ledger.writing() as connection:
        moves.mark_published(connection, [new.due])


def pause(ledger: Ledger, *queues: str) -> None:
    with ledger.writing() as connection:
        for queue in queues:
            pauses.pause(connection, queue)


def look(ledger: Ledger, new: NewJob) -> Job:
    with ledger.reading() as connection:
        found = queries.find(connection, new.id)
    assert found is not None
    return found


def due(ledger: Ledger) -> list[str]:
    with ledger.reading() as connection:
        return [each.id for each in queries.due(connection, 10)]


def test_no_job_of_a_paused_queue_is_claimed_or_published(ledger: Ledger) -> None:
    waits, runs = accept(ledger), accept(ledger, "add", "arithmetic")
    pause(ledger, "heavy", "heavy")
    assert due(ledger) == [runs.id]
    with ledger.writing() as connection:
        assert moves.claim(connection, [waits.id, runs.id], "w1").keys() == {runs.id}
        assert pauses.paused(connection) == {"heavy"}
        pauses.resume(connection, "heavy")
        assert moves.claim(connection, [waits.id], "w1")[waits.id].attempt == 1


def test_a_message_that_comes_to_a_paused_queue_makes_its_job_due_for_later(ledger: Ledger) -> None:
    new = accept(ledger)
    published(ledger, new)
    pause(ledger, "heavy")
    with ledger.writing() as connection:
        assert moves.hold(connection, [new.id]) == 1
    assert look(ledger, new).due_at == new.created_at
    assert due(ledger) == []
    # The relay's mark comes late, and must not undo that.
    published(ledger, new)
    with ledger.writing() as connection:
        pauses.resume(connection, "heavy")
    assert due(ledger) == [new.id]


def test_only_waiting_jobs_of_paused_queues_are_held(ledger: Ledger) -> None:
    runs, elsewhere = accept(ledger), accept(ledger, "add", "arithmetic")
    with ledger.writing() as connection:
        moves.claim(connection, [runs.id], "w1")
    published(ledger, elsewhere)
    pause(ledger, "heavy")
    with ledger.writing() as connection:
        assert moves.hold(connection, [runs.id, elsewhere.id]) == 0
    assert look(ledger, runs).state is State.STARTED


def test_the_back_off_of_a_retry_is_kept(ledger: Ledger) -> None:
    new = accept(ledger)
    later = time.time() + 600
    with ledger.writing() as connection:
        moves.claim(connection, [new.id], "w1")
        moves.retry_later(connection, new.id, "not now", later, attempt=1)
    pause(ledger, "heavy")
    with ledger.writing() as connection:
        moves.hold(connection, [new.id])
    assert look(ledger, new).due_at == later


def test_what_acts_on_other_jobs_runs_all_the_same(ledger: Ledger) -> None:
    new = accept(ledger, "cancel_jobs", "arithmetic")
    pause(ledger, "arithmetic")
    assert due(ledger) == [new.id]
    with ledger.writing() as connection:
        assert moves.claim(connection, [new.id], "w1")[new.id].attempt == 1


def test_urgent_jobs_are_published_first(ledger: Ledger) -> None:
    normal = [accept(ledger).id for _ in range(3)]
    urgent = [accept(ledger, priority=Priority.HIGH).id for _ in range(2)]
    assert due(ledger) == urgent + normal
    with ledger.reading() as connection:
        first = queries.due(connection, 1)
    assert [(each.id, each.priority) for each in first] == [(urgent[0], Priority.HIGH)]
