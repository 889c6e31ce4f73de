"""All jobs that match a filter."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.catalogue import CancelFilter, RetryFilter
from jobs.ledger import bulk, moves, queries, words
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Priority
from jobs.question import Question
from jobs.states import State


def add(ledger: Ledger, type_: str = "heavy", queue: str = "heavy", state: State = State.PENDING, **more: Any) -> str:
    new = NewJob(type=type_, queue=queue, params={"seconds": 1}, **more)
    with ledger.writing() as connection:
        moves.add(connection, new)
        if state is State.FAILURE:
            moves.claim(connection, [new.id], "w1")
            moves.fail(connection, new.id, "error", attempt=1)
        elif state is State.REVOKED:
            moves.cancel(connection, new.id)
    return new.id


def matching(ledger: Ledger, chosen: CancelFilter | RetryFilter, by: str | None = None) -> list[str]:
    asks = by or add(ledger, "cancel_jobs", "arithmetic")
    with ledger.reading() as connection:
        seqs = bulk.matching(connection, chosen, asks)
        by_seq = {job.seq: job.id for job in queries.page(connection, limit=100)}
    return [by_seq[seq] for seq in sorted(seqs)]


def wanted(**fields: str) -> CancelFilter:
    return CancelFilter.model_validate(fields)


def test_a_filter_takes_the_jobs_that_fit_all_of_it(ledger: Ledger) -> None:
    old = add(ledger, created_at=1000)
    adding = add(ledger, "add", "arithmetic", created_at=2000)
    heavy = add(ledger, created_at=2000)
    add(ledger, state=State.REVOKED, created_at=2000)
    moment = datetime.fromtimestamp(2000, UTC).isoformat()
    assert matching(ledger, CancelFilter(queue="heavy")) == [old, heavy]
    assert matching(ledger, CancelFilter(task_type="add")) == [adding]
    assert matching(ledger, wanted(created_from=moment)) == [adding, heavy]
    assert matching(ledger, wanted(created_to=moment)) == [old]
    assert matching(ledger, wanted(created_from=moment, queue="heavy")) == [heavy]
    assert matching(ledger, CancelFilter(status=["PENDING"])) == [old, adding, heavy]
    assert matching(ledger, CancelFilter(status=["STARTED"])) == []


def test_a_job_is_from_the_moment_that_the_api_shows(ledger: Ledger) -> None:
    """To the microsecond: its own time may be a little before or after that."""
    for number in range(20):
        job = add(ledger, created_at=1_795_000_000 + number * 1.0001379117)
        with ledger.reading() as connection:
            found = queries.find(connection, job)
        assert found is not None
        shown = datetime.fromtimestamp(found.created_at, UTC).isoformat()
        assert matching(ledger, wanted(created_from=shown, queue="heavy")) == [job]


def test_only_jobs_that_failed_or_were_cancelled_are_run_again(ledger: Ledger) -> None:
    add(ledger)
    failed, cancelled = add(ledger, state=State.FAILURE), add(ledger, state=State.REVOKED)
    assert matching(ledger, RetryFilter(queue="heavy")) == [failed, cancelled]
    assert matching(ledger, RetryFilter(status=["FAILURE"])) == [failed]


def test_of_a_group_of_failures_each_job_is_run_again_once(ledger: Ledger) -> None:
    failed = [add(ledger, state=State.FAILURE) for _ in range(2)]
    add(ledger, "add", "arithmetic", state=State.FAILURE)
    with ledger.reading() as connection:
        found = queries.find(connection, failed[0])
    assert found is not None
    group = RetryFilter(failure=found.failure)
    by = add(ledger, "retry_jobs", "arithmetic")
    assert matching(ledger, group, by) == failed
    again = add(ledger, state=State.FAILURE, retry_of=failed[0])
    assert matching(ledger, group, by) == failed, "what it has done itself does not count, if it has to begin anew"
    assert matching(ledger, group) == [failed[1], again]
    assert matching(ledger, RetryFilter(queue="heavy")) == [*failed, again]
    assert matching(ledger, RetryFilter(failure=found.failure, status=["REVOKED"])) == []


def test_words_take_the_jobs_that_a_search_finds(ledger: Ledger) -> None:
    old = add(ledger, created_at=1000)
    failed = add(ledger, state=State.FAILURE)
    adding = add(ledger, "add", "arithmetic")
    assert matching(ledger, CancelFilter(q="seconds")) == [old, adding], "both have it among their parameters"
    assert matching(ledger, CancelFilter(q="seconds since:1h")) == [adding]
    assert matching(ledger, CancelFilter(q="seconds kind:heavy")) == [old]
    assert matching(ledger, CancelFilter(q="kind:heavy kind:add", task_type="add")) == [adding]
    assert matching(ledger, CancelFilter(q="failed")) == []
    assert matching(ledger, CancelFilter(q="hours")) == []
    assert matching(ledger, CancelFilter(q=f"id:{old[:8]}")) == [old]
    assert matching(ledger, CancelFilter(q=old[:8])) == [old]
    assert matching(ledger, RetryFilter(q="error seconds worker:w1")) == []
    assert matching(ledger, RetryFilter(q='"error"')) == [failed]
    by = add(ledger, "cancel_jobs", "arithmetic")
    add(ledger)
    assert matching(ledger, CancelFilter(q="seconds"), by) == [old, adding], "and none that came later"


def test_words_of_jobs_that_are_indexed_are_found_as_well(ledger: Ledger) -> None:
    ids = [add(ledger, state=State.FAILURE, created_at=time.time() - 60) for _ in range(3 * words.BLOCK)]
    words.fill(ledger, budget=60)
    with ledger.reading() as connection:
        assert words.end(connection) > words.BLOCK
        assert bulk.count(connection, RetryFilter(q="seconds")) == len(ids)
        assert bulk.count(connection, RetryFilter(q="hours")) == 0
    assert matching(ledger, RetryFilter(q="seconds")) == ids


def test_what_takes_too_long_to_count_is_not_counted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    add(ledger)
    monkeypatch.setattr(bulk, "COUNT_FOR", 0)
    with ledger.reading() as connection:
        assert bulk.count(connection, CancelFilter(q="seconds")) is None
        assert bulk.count(connection, CancelFilter(q="kind:heavy")) == 1, "this is quick always"


def test_jobs_that_came_after_the_request_are_left_alone(ledger: Ledger) -> None:
    before = add(ledger)
    by = add(ledger, "cancel_jobs", "arithmetic")
    add(ledger)
    assert matching(ledger, CancelFilter(queue="heavy"), by) == [before]


def test_many_are_cancelled_at_once(ledger: Ledger) -> None:
    ids = [add(ledger) for _ in range(3)]
    by = add(ledger, "cancel_jobs", "arithmetic")
    with ledger.writing() as connection:
        seqs = bulk.matching(connection, CancelFilter(queue="heavy"), by)
        moves.cancel(connection, ids[0])
        assert moves.cancel_all(connection, seqs) == 2
        assert {job.state for job in queries.page(connection, Question(kinds=("heavy",)), limit=9)} == {State.REVOKED}


def test_running_again_twice_makes_each_job_once(ledger: Ledger) -> None:
    ids = [add(ledger, state=State.FAILURE, priority=Priority.HIGH) for _ in range(3)]
    by = add(ledger, "retry_jobs", "arithmetic")
    with ledger.writing() as connection:
        seqs = bulk.matching(connection, RetryFilter(queue="heavy"), by)
        new = bulk.again(connection, seqs, by)
        assert [(each.type, each.params, each.priority) for each in new] == [("heavy", {"seconds": 1}, 5)] * 3
        assert not set(ids) & {each.id for each in new}
        assert [each.retry_of for each in new] == ids
        moves.add(connection, *new[:2])
        assert [each.id for each in bulk.again(connection, seqs, by)] == [new[2].id]
        moves.add(connection, new[2])
        assert bulk.again(connection, seqs, by) == []


def test_chunks_have_all_of_them_once() -> None:
    seqs = list(range(bulk.CHUNK * 2 + 7, 0, -1))
    parts = list(bulk.chunks(seqs))
    assert [seq for part, _ in parts for seq in part] == sorted(seqs)
    assert [done for _, done in parts] == [bulk.CHUNK, bulk.CHUNK * 2, bulk.CHUNK * 2 + 7]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"status": ["SUCCESS"]},
        {"status": []},
        {"task_type": "nothing"},
        {"queue": "mine"},
        {"created_from": "soon"},
        {"q": "kind:nothing"},
        {"q": "x" * 201},
        {"created_from": "2026-01-01T00:00:00Z", "created_to": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_filter_that_says_nothing_or_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    for model in (CancelFilter, RetryFilter):
        with pytest.raises(ValueError, match=r"Give at least one|Input should|at least 1 item|is none of|at most 200"):
            model.model_validate(wrong)
