"""Groups of failed jobs: they fit the jobs at every moment, and the jobs of a group are found by an index."""

import time
from types import SimpleNamespace

import pytest
from sqlalchemy import event

from jobs.fingerprint import fingerprint
from jobs.ledger import expiry, failures, keys, mails, moves, queries, search, workers
from jobs.ledger.database import Ledger
from jobs.ledger.records import FailureGroup, IdempotencyKey, NewJob, Outcome
from jobs.question import Phrase, Question
from jobs.states import State
from tests.support.databases import on_sqlite

#: What the clock shows: five minutes after an hour has begun.
NOW = 500_000 * 3600.0 + 300


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (moves, failures):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=made.time))
    return made


def fail(ledger: Ledger, error: str = "Row 17 is wrong.", kind: str = "heavy") -> str:
    new = NewJob(type=kind, queue="heavy", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
        moves.claim(connection, [new.id], "w1")
        assert moves.fail(connection, new.id, error, attempt=1)
        assert not moves.fail(connection, new.id, error, attempt=1), "it counts once"
    return new.id


def groups(ledger: Ledger) -> list[FailureGroup]:
    with ledger.reading() as connection:
        return failures.newest(connection)


def test_jobs_that_fail_alike_make_one_group(ledger: Ledger, clock: Clock) -> None:
    ids = []
    for number in range(3):
        ids.append(fail(ledger, f"Row {number} is wrong."))
        clock.now += 10
    assert groups(ledger) == [
        FailureGroup(
            key=fingerprint("heavy", "Row 5 is wrong.").key,
            type="heavy",
            message="Row N is wrong.",
            jobs=3,
            first_at=NOW,
            last_at=NOW + 20,
            history=[*[0] * 23, 3],
            job_id=ids[-1],
            error="Row 2 is wrong.",
        )
    ]


def test_other_kinds_and_other_sentences_are_groups_of_their_own_the_latest_first(ledger: Ledger, clock: Clock) -> None:
    for error, kind in (("No.", "heavy"), ("No.", "add"), ("Gone.", "heavy"), ("No.", "heavy")):
        fail(ledger, error, kind)
        clock.now += 1
    assert [(group.type, group.message, group.jobs) for group in groups(ledger)] == [
        ("heavy", "No.", 2),
        ("heavy", "Gone.", 1),
        ("add", "No.", 1),
    ]


def test_a_job_whose_workers_die_is_in_a_group_too(ledger: Ledger) -> None:
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
        for by in ("w1", "w2"):
            moves.claim(connection, [new.id], by)
            workers.retire(connection, by, 2)
    (group,) = groups(ledger)
    assert group.message == "Given up: the worker process died N times while running this job."


def test_the_history_has_the_last_day_by_the_hour(ledger: Ledger, clock: Clock) -> None:
    for hours in (0, 1, 1, 23, 24, 24, 24):
        clock.now = NOW + 3600 * hours
        fail(ledger)
    assert groups(ledger)[0].history == [2, *[0] * 21, 1, 3]
    clock.now += 3600
    assert groups(ledger)[0].history == [*[0] * 21, 1, 3, 0]
    clock.now += 3600 * 30
    assert groups(ledger)[0].history == [0] * 24
    assert groups(ledger)[0].jobs == 7
    clock.now = NOW
    assert sum(groups(ledger)[0].history) == 0, "the clock was put back"


def test_what_expires_leaves_its_group_and_an_empty_group_goes(ledger: Ledger, clock: Clock) -> None:
    fail(ledger)
    clock.now += 100
    second = fail(ledger)
    fail(ledger, "Gone.")
    with ledger.writing() as connection:
        assert moves.expire(connection, NOW + 50, 10) == 1
    assert {(group.message, group.jobs) for group in groups(ledger)} == {("Row N is wrong.", 1), ("Gone.", 1)}
    assert second in {group.job_id for group in groups(ledger)}
    with ledger.writing() as connection:
        assert moves.expire(connection, NOW + 200, 10) == 2
        assert connection.exec_driver_sql("SELECT count(*) FROM failure_hour").scalar() == 0
    assert groups(ledger) == []


def test_a_group_is_deleted_with_all_that_belongs_to_its_jobs(ledger: Ledger) -> None:
    ids = [fail(ledger) for _ in range(25)]
    other = fail(ledger, "Gone.")
    with ledger.writing() as connection:
        new = NewJob(type="heavy", queue="heavy", params={})
        moves.add_once(connection, IdempotencyKey(text="key", fingerprint="print"), new)
        moves.claim(connection, [new.id], "w1")
        mails.reserve(connection, new.id, 1)
        moves.retry_later(connection, new.id, "Not yet.", 0, attempt=1)
        moves.claim(connection, [new.id], "w1")
        moves.fail(connection, new.id, "Row 1 is wrong.", attempt=2, traceback="Traceback ...")
        again = NewJob(type="heavy", queue="heavy", params={}, retry_of=ids[0])
        moves.add(connection, again)
    asked = time.time()
    later = fail(ledger)
    (group,) = [each for each in groups(ledger) if each.jobs == 27]
    assert sum(expiry.remove_failed(ledger, group.key, asked)) == 26
    with ledger.reading() as connection:
        assert {job.id for job in queries.page(connection, limit=50)} == {other, later, again.id}
        for table in ("attempt", "traceback", "mail"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table
        # A client that sends its request again makes no second job.
        assert keys.find(connection, IdempotencyKey(text="key", fingerprint="print")) == new.id
    assert {each.key: each.jobs for each in groups(ledger)} == {group.key: 1, fingerprint("heavy", "Gone.").key: 1}
    assert sum(expiry.remove_failed(ledger, group.key, time.time() + 1)) == 1
    assert [each.jobs for each in groups(ledger)] == [1]


def test_only_the_groups_that_failed_last_are_shown(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST", 2)
    for word in ("One.", "Two.", "Three."):
        fail(ledger, word)
        clock.now += 1
    assert [group.message for group in groups(ledger)] == ["Three.", "Two."]


def test_one_group_is_found_by_its_key(ledger: Ledger) -> None:
    fail(ledger, "One.")
    fail(ledger, "Two.")
    with ledger.reading() as connection:
        found = failures.find(connection, fingerprint("heavy", "One.").key)
        assert found is not None
        assert found.message == "One."
        for key in ("0" * 16, "", "a\0b"):
            assert failures.find(connection, key) is None


def test_the_jobs_of_a_group_are_listed_newest_first(ledger: Ledger) -> None:
    ids = [fail(ledger) for _ in range(3)]
    fail(ledger, "Gone.")
    key = groups(ledger)[-1].key
    assert key == fingerprint("heavy", "Row 17 is wrong.").key
    with ledger.reading() as connection:
        first = queries.page(connection, limit=2, failure=key)
        assert [job.id for job in first] == ids[:0:-1]
        assert [job.id for job in queries.page(connection, limit=2, failure=key, before=first[-1].seq)] == ids[:1]
        for question, there in (
            (Question(states=(State.FAILURE,)), True),
            (Question(states=(State.REVOKED,)), False),
            (Question(kinds=("heavy",)), True),
            (Question(kinds=("add",)), False),
            (Question(ids=(ids[0],)), True),
            (Question(phrases=(Phrase(words=("wrong",)),)), True),
            (Question(phrases=(Phrase(words=("right",)),)), False),
        ):
            assert bool(search.page(connection, question, limit=2, failure=key).jobs) == there, question
        assert queries.page(connection, limit=2, failure="0" * 16) == []
        assert search.page(connection, Question(ids=(ids[0],)), limit=2, failure="0" * 16).jobs == []


@on_sqlite
def test_questions_go_by_an_index(ledger: Ledger) -> None:
    fail(ledger)
    statements: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, _context: object, _m: bool) -> None:
        statements.append((statement, values))

    event.listen(ledger._engine, "before_cursor_execute", note)
    key = groups(ledger)[0].key
    with ledger.reading() as connection:
        question = Question(states=(State.FAILURE,), kinds=("heavy",))
        queries.page(connection, question, limit=2, failure=key)
        failures.find(connection, key)
    list(expiry.remove_failed(ledger, key, 0))
    event.remove(ledger._engine, "before_cursor_execute", note)
    with ledger.reading() as connection:
        for statement, values in statements:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()  # type: ignore[arg-type]
            details = [step.detail for step in steps]
            assert not [each for each in details if "TEMP B-TREE" in each], details
            scans = [each for each in details if each.startswith("SCAN")]
            assert scans in ([], ["SCAN failure USING INDEX failure_last"]), details
            assert not [each for each in details if "job_state" in each], details


def test_jobs_that_do_not_fail_cost_no_statement_more(ledger: Ledger) -> None:
    """One to add them, one to claim them, one to end them."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            statements.append(statement.split()[0])

    new = [NewJob(type="add", queue="arithmetic", params={}) for _ in range(3)]
    event.listen(ledger._engine, "before_cursor_execute", note)
    with ledger.writing() as connection:
        moves.add(connection, *new)
        moves.claim(connection, [each.id for each in new], "w1")
        moves.succeed(connection, *(Outcome(job_id=each.id, attempt=1, result=1) for each in new))
    event.remove(ledger._engine, "before_cursor_execute", note)
    assert statements == ["INSERT", "UPDATE", "UPDATE"]


def test_groups_are_as_fresh_as_the_clock(ledger: Ledger) -> None:
    fail(ledger)
    (group,) = groups(ledger)
    assert group.last_at == pytest.approx(time.time(), abs=5)
    assert sum(group.history) == 1
