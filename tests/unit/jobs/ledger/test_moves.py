import time
from typing import Any

import pytest
from sqlalchemy import event

from jobs.ledger import attempts, keys, moves, queries, tracebacks, workers
from jobs.ledger.database import Ledger
from jobs.ledger.records import RELAY_GRACE, IdempotencyKey, KeyReused, NewJob, Outcome
from jobs.question import Question
from jobs.states import State
from tests.support.databases import on_sqlite

MAX_DELIVERIES = 3


def submitted(ledger: Ledger, **fields: Any) -> NewJob:
    new = NewJob(type="heavy", queue="heavy", params={"seconds": 1}, **fields)
    with ledger.writing() as connection:
        moves.add(connection, new)
    return new


def row(ledger: Ledger, job_id: str) -> Any:
    with ledger.reading() as connection:
        return queries.find(connection, job_id)


def claim(ledger: Ledger, job_id: str, by: str = "w1") -> int | None:
    with ledger.writing() as connection:
        claim = moves.claim(connection, [job_id], by).get(job_id)
    return claim.attempt if claim else None


def test_a_job_goes_its_way_from_submission_to_success(ledger: Ledger) -> None:
    new = submitted(ledger)
    assert row(ledger, new.id).state == State.PENDING
    assert row(ledger, new.id).due_at == pytest.approx(new.created_at + RELAY_GRACE)

    with ledger.writing() as connection:
        moves.mark_published(connection, [new.due])
    assert row(ledger, new.id).due_at is None

    attempt = claim(ledger, new.id)
    assert attempt == 1
    with ledger.writing() as connection:
        assert moves.report_progress(connection, new.id, attempt, {"percent": 40, "message": "on it"})
    assert (row(ledger, new.id).state, row(ledger, new.id).progress) == (State.PROGRESS, 40)
    with ledger.writing() as connection:
        assert moves.succeed(connection, Outcome(job_id=new.id, attempt=attempt, result={"answer": 42}))
    ended = row(ledger, new.id)
    assert (ended.state, ended.result, ended.progress, ended.worker) == (State.SUCCESS, {"answer": 42}, 100, "w1")
    assert ended.ended_at >= ended.started_at >= ended.created_at


def test_each_attempt_that_ended_in_another_is_remembered(ledger: Ledger) -> None:
    new = submitted(ledger)
    claim(ledger, new.id, "first/1")
    with ledger.writing() as connection:
        assert moves.retry_later(connection, new.id, "The mail server is away.", time.time(), attempt=1)
        assert not moves.retry_later(connection, new.id, "told twice", time.time(), attempt=1)
    claim(ledger, new.id, "second/1")
    with ledger.writing() as connection:
        moves.release(connection, [new.id], "second/1", MAX_DELIVERIES)
    assert claim(ledger, new.id, "third/1") == 3
    with ledger.reading() as connection:
        past = attempts.past(connection, new.id)
    assert [(attempt.number, attempt.worker) for attempt in past] == [(1, "first/1"), (2, "second/1")]
    assert [attempt.error for attempt in past] == [
        "The mail server is away.",
        "The worker was lost; the job is run again.",
    ]
    assert all((attempt.started_at or 0) <= attempt.ended_at for attempt in past)

    with ledger.writing() as connection:
        assert moves.succeed(connection, Outcome(job_id=new.id, attempt=3, result=None))
        assert moves.expire(connection, time.time() + 1, 10) == 1
    with ledger.reading() as connection:
        assert attempts.past(connection, new.id) == []


def test_a_second_delivery_cannot_claim(ledger: Ledger) -> None:
    new = submitted(ledger)
    assert claim(ledger, new.id) == 1
    assert claim(ledger, new.id, "w2") is None


def test_a_publisher_that_marks_late_does_not_undo_a_retry(ledger: Ledger) -> None:
    new = submitted(ledger)
    claim(ledger, new.id)
    with ledger.writing() as connection:
        moves.retry_later(connection, new.id, "again", time.time() + 60, attempt=1)
    with ledger.writing() as connection:
        moves.mark_published(connection, [new.due])
    assert row(ledger, new.id).due_at is not None


def test_a_stray_message_does_not_start_a_retry_early(ledger: Ledger) -> None:
    new = submitted(ledger)
    claim(ledger, new.id)
    with ledger.writing() as connection:
        moves.retry_later(connection, new.id, "again", time.time() + 60, attempt=1)
    assert claim(ledger, new.id) is None


def test_a_report_of_an_older_claim_is_dropped(ledger: Ledger) -> None:
    new = submitted(ledger)
    claim(ledger, new.id, "paused")
    with ledger.writing() as connection:
        moves.release(connection, [new.id], "paused", MAX_DELIVERIES)
    assert claim(ledger, new.id, "other") == 2
    with ledger.writing() as connection:
        assert not moves.succeed(connection, Outcome(job_id=new.id, attempt=1, result="old"))
        assert not moves.report_progress(connection, new.id, 1, {"percent": 1})
        assert not moves.fail(connection, new.id, "old", attempt=1)
        assert not moves.fail(connection, new.id, "old", by="paused")
        assert not moves.retry_later(connection, new.id, "old", time.time(), attempt=1)
        assert moves.succeed(connection, Outcome(job_id=new.id, attempt=2, result="new"))
    assert row(ledger, new.id).result == "new"


@pytest.mark.parametrize("running", [False, True])
def test_cancelling_ends_a_job_for_good(ledger: Ledger, running: bool) -> None:
    new = submitted(ledger)
    if running:
        claim(ledger, new.id)
    with ledger.writing() as connection:
        assert moves.cancel(connection, new.id) == (State.STARTED if running else State.PENDING)
        assert moves.cancel(connection, new.id) is None
        assert not moves.succeed(connection, Outcome(job_id=new.id, attempt=1, result="too late"))
    assert claim(ledger, new.id) is None
    ended = row(ledger, new.id)
    assert (ended.state, ended.due_at) == (State.REVOKED, None)


def test_a_job_that_keeps_losing_its_worker_fails_with_a_reason(ledger: Ledger) -> None:
    new = submitted(ledger)
    for _ in range(MAX_DELIVERIES):
        assert claim(ledger, new.id) is not None
        with ledger.writing() as connection:
            moves.release(connection, [new.id], "w1", MAX_DELIVERIES)
    ended = row(ledger, new.id)
    assert ended.state == State.FAILURE
    assert ended.error == "Given up: the worker process died 3 times while running this job."


def test_a_worker_that_is_stopped_does_not_count_as_dead(ledger: Ledger) -> None:
    new = submitted(ledger)
    for _ in range(2 * MAX_DELIVERIES):
        assert claim(ledger, new.id) is not None
        with ledger.writing() as connection:
            moves.release(connection, [new.id], "w1", MAX_DELIVERIES, stopped=True)
    assert row(ledger, new.id).state == State.RETRY


def test_retries_that_the_task_asks_for_do_not_count_as_deaths(ledger: Ledger) -> None:
    new = submitted(ledger)
    for attempt in range(1, 2 * MAX_DELIVERIES):
        assert claim(ledger, new.id) == attempt
        with ledger.writing() as connection:
            moves.retry_later(connection, new.id, "again", time.time() - 1, attempt=attempt)
    assert claim(ledger, new.id)
    with ledger.writing() as connection:
        moves.release(connection, [new.id], "w1", MAX_DELIVERIES)
    assert row(ledger, new.id).state == State.RETRY


def test_a_job_without_a_row_is_adopted(ledger: Ledger) -> None:
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing() as connection:
        adopted = moves.adopt(connection, new, "w1")
        assert adopted is not None
        assert adopted.attempt == 1
        assert moves.adopt(connection, new, "w2") is None
    assert row(ledger, new.id).state == State.STARTED


def test_a_worker_that_retires_gives_back_what_it_held(ledger: Ledger) -> None:
    new = submitted(ledger)
    with ledger.writing() as connection:
        workers.register(connection, "w1", "celery", "heavy", 2)
        assert workers.renew_lease(connection, "w1")
    claim(ledger, new.id)
    with ledger.writing() as connection:
        workers.retire(connection, "w1", MAX_DELIVERIES)
        assert not workers.renew_lease(connection, "w1")
    assert row(ledger, new.id).state == State.RETRY
    with ledger.reading() as connection:
        assert [job.id for job in queries.due(connection, 10)] == [new.id]


def test_republishing_makes_only_waiting_jobs_due(ledger: Ledger) -> None:
    waiting, running = submitted(ledger), submitted(ledger)
    with ledger.writing() as connection:
        moves.mark_published(connection, [waiting.due, running.due])
    claim(ledger, running.id)
    with ledger.writing() as connection:
        assert queries.count_unclaimed(connection, "heavy", time.time() + 1) == 1
        assert moves.mark_due(connection, [waiting.id, running.id]) == 1
    with ledger.reading() as connection:
        assert [job.id for job in queries.due(connection, 10)] == [waiting.id]


def test_expiry_removes_only_what_ended_long_ago(ledger: Ledger) -> None:
    old, new = submitted(ledger), submitted(ledger)
    with ledger.writing() as connection:
        moves.cancel(connection, old.id)
        assert moves.expire(connection, time.time() + 1, 10) == 1
    assert row(ledger, old.id) is None
    assert row(ledger, new.id) is not None


def key(print_: str = "print") -> IdempotencyKey:
    return IdempotencyKey(text="key", fingerprint=print_)


def test_a_key_stands_for_the_first_job_that_came_with_it(ledger: Ledger) -> None:
    first, second = (NewJob(type="heavy", queue="heavy", params={}) for _ in range(2))
    with ledger.writing() as connection:
        assert moves.add_once(connection, key(), first) == first.id
        assert moves.add_once(connection, key(), second) == first.id
        with pytest.raises(KeyReused):
            moves.add_once(connection, key("of another request"), second)
    assert row(ledger, second.id) is None


def test_old_idempotency_keys_are_forgotten(ledger: Ledger) -> None:
    first, second, third = (NewJob(type="heavy", queue="heavy", params={}) for _ in range(3))
    with ledger.writing() as connection:
        assert moves.add_once(connection, key(), first) == first.id
        assert keys.expire(connection, first.created_at, 10) == 0
        assert moves.add_once(connection, key(), second) == first.id
        assert keys.expire(connection, time.time() + 1, 10) == 1
        assert moves.add_once(connection, key(), third) == third.id


def test_pages_hold_every_job_once_newest_first(ledger: Ledger) -> None:
    ids = [submitted(ledger).id for _ in range(7)]
    for job_id in ids[::2]:
        claim(ledger, job_id)

    def walk(**filters: Any) -> list[str]:
        found: list[str] = []
        before = None
        while True:
            with ledger.reading() as connection:
                rows = queries.page(connection, Question(**filters), limit=2, before=before)
            if not rows:
                return found
            found += [row.id for row in rows]
            before = rows[-1].seq

    assert walk() == ids[::-1]
    assert walk(states=(State.STARTED,)) == ids[::2][::-1]
    assert walk(states=(State.STARTED, State.PENDING)) == ids[::-1]
    assert walk(kinds=("heavy",)) == ids[::-1]
    assert walk(kinds=("add",)) == []


@on_sqlite
def test_the_claim_of_many_jobs_finds_them_by_their_ids(ledger: Ledger) -> None:
    """By the index on states SQLite would walk through all jobs that wait."""
    new = [NewJob(type="add", queue="arithmetic", params={}) for _ in range(20)]
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    with ledger.writing() as connection:
        moves.add(connection, *new)
        event.listen(ledger._engine, "before_cursor_execute", note)
        assert len(moves.claim(connection, [each.id for each in new], "w1")) == 20
        event.remove(ledger._engine, "before_cursor_execute", note)
        ((statement, parameters),) = statements
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert [step.detail for step in steps if " job " in step.detail] == [
        "SEARCH job USING INDEX sqlite_autoindex_job_1 (id=?)"
    ]


def test_a_traceback_stays_as_long_as_its_job(ledger: Ledger) -> None:
    failed, killed = submitted(ledger), submitted(ledger)
    for new in (failed, killed):
        claim(ledger, new.id)
    with ledger.writing() as connection:
        assert moves.fail(connection, failed.id, "no", attempt=1, traceback="Traceback ...")
        assert not moves.fail(connection, failed.id, "told twice", attempt=1, traceback="Traceback of another run")
        assert moves.fail(connection, killed.id, "too long", by="w1")
        assert tracebacks.find(connection, failed.id) == "Traceback ..."
        assert tracebacks.find(connection, killed.id) is None
        moves.expire(connection, time.time() + 1, 10)
        assert tracebacks.find(connection, failed.id) is None
