"""Several transactions at once: on SQLite they take turns, on PostgreSQL they really meet."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from jobs.ledger import (
    accounts,
    attempts,
    failures,
    logins,
    mails,
    moves,
    notices,
    pauses,
    queries,
    schedules,
    summaries,
    todos,
    tokens,
)
from jobs.ledger.database import Ledger, is_deadlock
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.records import Claim, IdempotencyKey, NewJob, Outcome, Schedule
from jobs.ledger.schema import job, login_failure, summary
from jobs.settings import settings
from jobs.states import RUNNING
from tests.support.databases import on_postgresql

T = TypeVar("T")
Work = Callable[[Connection], T]

#: How often they meet. On PostgreSQL it goes wrong within a few times, if it is not taken care of.
ROUNDS = 8


def at_once(ledger: Ledger, *works: Work[T], deadlocks: bool = False) -> list[T]:
    """Do all works at the same moment, each in a thread and a transaction of its own; return what they return.

    With `deadlocks` there may be some: then what PostgreSQL has ended is done again, as by all who write.
    """
    barrier = threading.Barrier(len(works))

    def do(work: Work[T]) -> T:
        met = ledger.file is not None  # on SQLite only one is here at a time
        while True:
            try:
                with ledger.writing() as connection:
                    if not met:
                        barrier.wait(10)
                        met = True
                    return work(connection)
            except OperationalError as error:
                if not (deadlocks and is_deadlock(error)):
                    raise

    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result(20) for done in [pool.submit(do, work) for work in works]]


def read(ledger: Ledger, work: Work[T]) -> T:
    with ledger.reading() as connection:
        return work(connection)


def new_job(**more: Any) -> NewJob:
    return NewJob(**({"type": "heavy", "queue": "heavy", "params": {}} | more))


def accept(ledger: Ledger, number: int, **more: Any) -> list[str]:
    new = [new_job(**more) for _ in range(number)]
    with ledger.writing() as connection:
        moves.add(connection, *new)
    return [each.id for each in new]


def begin(ledger: Ledger, number: int, by: str, **more: Any) -> list[str]:
    ids = accept(ledger, number, **more)
    with ledger.writing() as connection:
        moves.claim(connection, ids, by)
    return ids


# --- one of several ---------------------------------------------------------------------------------------------------

NIGHTLY = Schedule(
    name="nightly",
    cron=None,
    every=60,
    timezone="UTC",
    type="heavy",
    params={},
    paused=False,
    created_at=0,
    next_run_at=60,
    last_run_at=None,
    last_job_id=None,
)

#: What succeeds for one of those who try it at the same moment.
ONLY_ONE: dict[str, Work[object]] = {
    "account": lambda connection: accounts.add(connection, "ada", "hash", "admin"),
    "token": lambda connection: tokens.add(connection, "ci", "operator", None),
    "schedule": lambda connection: schedules.add(connection, NIGHTLY),
    "mail": lambda connection: mails.reserve(connection, "job", 1),
    "adopted job": lambda connection: moves.adopt(connection, new_job(id="delayed"), "w1"),
}


@pytest.mark.parametrize("what", ONLY_ONE)
def test_one_of_several_succeeds(ledger: Ledger, what: str) -> None:
    assert sum(bool(done) for done in at_once(ledger, *[ONLY_ONE[what]] * 4)) == 1


def test_requests_with_the_same_key_make_one_job(ledger: Ledger) -> None:
    for number in range(ROUNDS):
        key = IdempotencyKey(text=f"key {number}", fingerprint="print")
        told = at_once(ledger, *(partial(_add_once, key, new_job()) for _ in range(4)))
        assert len(set(told)) == 1
    assert read(ledger, queries.backlog) == ROUNDS


def _add_once(key: IdempotencyKey, new: NewJob, connection: Connection) -> str:
    return moves.add_once(connection, key, new)


def test_each_slot_makes_one_job_also_with_two_beats(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        schedules.add(connection, NIGHTLY)
    for number in range(1, ROUNDS + 1):
        [due] = read(ledger, lambda connection: schedules.due(connection, 1e9))
        taken = at_once(ledger, *[partial(_take_slot, due, 60.0 * number)] * 2)
        assert sum(job_id is not None for job_id in taken) == 1
    assert read(ledger, queries.backlog) == ROUNDS


def _take_slot(due: Schedule, now: float, connection: Connection) -> str | None:
    return schedules.take_slot(connection, due, "heavy", now)


def test_a_notice_is_sent_by_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "notices", "webhook")
    [job_id] = begin(ledger, 1, "w1")
    with ledger.writing() as connection:
        moves.fail(connection, job_id, "error", attempt=1)
    soon = time.time() + 60
    taken = at_once(ledger, *[lambda connection: notices.take(connection, "webhook", soon, "my")] * 4)
    assert sum(delivery is not None for delivery in taken) == 1


def test_a_job_is_put_back_once(ledger: Ledger) -> None:
    for _ in range(ROUNDS):
        [job_id] = begin(ledger, 1, "w1")
        works: list[Work[object]] = [
            lambda connection: moves.release(connection, [job_id], "w1", 5),  # noqa: B023
            lambda connection: moves.release(connection, [job_id], "w1", 5),  # noqa: B023
            lambda connection: moves.retry_later(connection, job_id, "again", 0, attempt=1),  # noqa: B023
            lambda connection: moves.succeed(connection, Outcome(job_id=job_id, attempt=1)),  # noqa: B023
        ]
        at_once(ledger, *works)
        with ledger.reading() as connection:
            found = queries.find(connection, job_id)
            past = attempts.past(connection, job_id)
        assert found is not None
        assert len(past) == (0 if found.ended else 1)
        assert found.deaths + found.retries == len(past)


# --- claims -----------------------------------------------------------------------------------------------------------


def test_a_claim_is_one_workers_while_others_mark_and_cancel_and_claim_the_same_jobs(ledger: Ledger) -> None:
    for _ in range(ROUNDS):
        new = [new_job() for _ in range(40)]
        ids = [each.id for each in new]
        with ledger.writing() as connection:
            moves.add(connection, *new)
        claims = at_once(
            ledger,
            lambda connection: moves.claim(connection, ids, "w1"),  # noqa: B023
            partial(_mark, new[::-1]),
            partial(_mark, new),
            lambda connection: moves.claim(connection, ids[:1], "w2"),  # noqa: B023
            deadlocks=True,
        )
        claimed = Counter(job_id for found in claims for job_id in found)
        assert claimed == Counter(ids), "each job was claimed once"
        assert {claim.attempt for found in claims for claim in found.values()} == {1}
    running = select(func.count()).where(job.c.state.in_(RUNNING), job.c.due_at.is_(None))
    assert read(ledger, lambda connection: connection.execute(running).scalar()) == 40 * ROUNDS


def _mark(new: list[NewJob], connection: Connection) -> dict[str, Claim]:
    moves.mark_published(connection, [each.due for each in new])
    return {}


def test_when_a_pause_is_told_all_claims_of_before_are_on_disk_and_none_comes_after(ledger: Ledger) -> None:
    [first, second] = accept(ledger, 2)
    paused = threading.Event()

    def pause() -> None:
        with ledger.writing() as connection:
            pauses.pause(connection, "heavy")
        paused.set()

    with ledger.writing() as connection:
        assert moves.claim(connection, [first], "w1")
        thread = threading.Thread(target=pause)
        thread.start()
        assert not paused.wait(0.2), "the pause has not waited for the claim"
    assert paused.wait(10)
    thread.join()
    with ledger.writing() as connection:
        assert not moves.claim(connection, [second], "w1")


# --- counts -----------------------------------------------------------------------------------------------------------


def test_tokens_never_submit_more_than_they_may(ledger: Ledger) -> None:
    names = ["one", "two"]
    with ledger.writing() as connection:
        for name in names:
            tokens.add(connection, name, "operator", None)

    def spend(in_order: list[str], connection: Connection) -> list[str]:
        return [name for name in in_order if tokens.spend(connection, name, 1, 5)]

    spent = [at_once(ledger, partial(spend, names), partial(spend, names[::-1])) for _ in range(ROUNDS)]
    assert Counter(name for of_both in spent for of_one in of_both for name in of_one) == {"one": 5, "two": 5}


def test_failures_of_different_groups_are_counted_by_several_workers(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "notices", "webhook,mail")
    for _ in range(ROUNDS):
        works: list[Work[None]] = []
        for by, order in (("w1", ("heavy", "divide")), ("w2", ("divide", "heavy"))):
            ids = [job_id for kind in order for job_id in begin(ledger, 1, by, type=kind)]
            works.append(partial(_fail, ids))
        at_once(ledger, *works)
    assert {group.type: group.jobs for group in read(ledger, failures.newest)} == {
        "heavy": 2 * ROUNDS,
        "divide": 2 * ROUNDS,
    }


def _fail(ids: list[str], connection: Connection) -> None:
    for job_id in ids:
        assert moves.fail(connection, job_id, "error", attempt=1)


def test_failed_jobs_that_several_delete_leave_their_group_once(ledger: Ledger) -> None:
    _fail_all(ledger, begin(ledger, 30, "w1"))
    [group] = read(ledger, failures.newest)
    later = time.time() + 1
    removed = at_once(
        ledger,
        lambda connection: moves.delete_failed(connection, group.key, later, 20),
        lambda connection: moves.expire(connection, later, 20),
    )
    left = read(ledger, failures.newest)
    assert sum(removed) == 30 - (left[0].jobs if left else 0)
    jobs = read(ledger, lambda connection: connection.execute(select(func.count()).select_from(job)).scalar_one())
    assert jobs == 30 - sum(removed)


def _fail_all(ledger: Ledger, ids: list[str]) -> None:
    with ledger.writing() as connection:
        _fail(ids, connection)


def test_tries_to_log_in_are_all_counted(ledger: Ledger) -> None:
    for _ in range(ROUNDS):
        at_once(ledger, *[lambda connection: logins.failed(connection, ["account ada", "address ::1"])] * 3)
    times = select(login_failure.c.times)
    assert read(ledger, lambda connection: connection.execute(times).scalars().all()) == [3 * ROUNDS] * 2


def test_two_that_add_up_count_each_job_once(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        ids = [new_job() for _ in range(20)]
        moves.add(connection, *ids)
        moves.claim(connection, [each.id for each in ids], "w1")
        moves.succeed(connection, *(Outcome(job_id=each.id, attempt=1) for each in ids))
    until = time.time() + 1
    barrier = threading.Barrier(2)

    def add_up() -> None:
        barrier.wait(10)
        summaries.add_up(ledger, until)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(add_up) for _ in range(2)]:
            done.result(20)
    hours = select(func.sum(summary.c.succeeded)).where(summary.c.span == 3600)
    assert read(ledger, lambda connection: connection.execute(hours).scalar()) == 20


# --- when two wait for each other -------------------------------------------------------------------------------------


@on_postgresql
def test_a_group_commit_that_a_deadlock_has_ended_is_done_again(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        one, other = (todos.add(connection, "text", False).id for _ in range(2))
    has_one, has_other = threading.Event(), threading.Event()

    def change(first: int, second: int, text: str, connection: Connection) -> None:
        todos.change(connection, first, {"text": text})
        (has_one if first == one else has_other).set()
        (has_other if first == one else has_one).wait(10)
        todos.change(connection, second, {"text": text})

    ledgers = [Ledger(ledger.url) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(GroupCommit(ledgers[0]).run, partial(change, one, other, "first"), 20),
            pool.submit(GroupCommit(ledgers[1]).run, partial(change, other, one, "second"), 20),
        ]
        for future in done:
            future.result(20)
    texts = {todo.text for todo in read(ledger, lambda connection: todos.page(connection, limit=10))}
    assert texts in ({"first"}, {"second"})
    for each in ledgers:
        each.dispose()
