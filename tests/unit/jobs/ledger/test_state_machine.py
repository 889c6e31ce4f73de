"""The moves of a job, compared with their drawing in docs/design.md, and made in any order.

A trigger in the database notes every change of a state, so that what is compared is what happens and not what is meant.
"""

import re
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection

from jobs import states
from jobs.commands.migrate import upgrade
from jobs.fingerprint import fingerprint
from jobs.ledger import keys, moves, queries, workers
from jobs.ledger.database import Ledger
from jobs.ledger.records import DueJob, IdempotencyKey, KeyReused, NewJob, Outcome
from jobs.states import State
from tests.support.project import ROOT, project_files
from tests.support.soundness import unsound_jobs

MAX_DELIVERIES = 3

#: From, to and the names of the moves; "[*]" is where there is no row.
Drawn = dict[tuple[str, str], set[str]]
ARROW = re.compile(r"^ +(\S+) --> (\S+): (.+)$", re.MULTILINE)


def drawn() -> Drawn:
    """Return the arrows of the drawing."""
    page = (ROOT / "docs" / "design.md").read_text()
    drawing = page.partition("stateDiagram-v2\n")[2].partition("```")[0]
    return {(was, becomes): set(names.split(", ")) for was, becomes, names in ARROW.findall(drawing)}


def note_changes(connection: Connection) -> None:
    """Have the database note every change of a state, in the table `change`."""
    connection.exec_driver_sql("CREATE TEMP TABLE change (was TEXT, becomes TEXT)")
    for name, event, was, becomes in (
        ("added", "INSERT", "'[*]'", "NEW.state"),
        ("moved", "UPDATE OF state", "OLD.state", "NEW.state"),
        ("removed", "DELETE", "OLD.state", "'[*]'"),
    ):
        note = f"BEGIN INSERT INTO change VALUES ({was}, {becomes}); "
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"CREATE TEMP TRIGGER {name} AFTER {event} ON job {note} END")
            continue
        function = f"CREATE FUNCTION pg_temp.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ {note} RETURN NULL; END $$"
        connection.exec_driver_sql(function)
        trigger = f"CREATE TRIGGER {name} AFTER {event} ON job FOR EACH ROW EXECUTE FUNCTION pg_temp.{name}()"
        connection.exec_driver_sql(trigger)


def changes(connection: Connection) -> set[tuple[str, str]]:
    """Return the changes since the last time, and forget them."""
    found = {(was, becomes) for was, becomes in connection.exec_driver_sql("SELECT * FROM change")}
    connection.exec_driver_sql("DELETE FROM change")
    return found


def new_job(**fields: Any) -> NewJob:
    return NewJob(type="heavy", queue="heavy", params={}, **fields)


def a_key(text: str, fingerprint: str = "print") -> IdempotencyKey:
    return IdempotencyKey(text=text, fingerprint=fingerprint)


# --- each move from each state ---------------------------------------------------------------------------------------


def bring_to(connection: Connection, state: str) -> NewJob:
    """Return a job in that state, at its first attempt by the worker w1 if it has begun."""
    new = new_job()
    moves.add(connection, new)
    if state in (State.STARTED, State.PROGRESS, State.SUCCESS, State.FAILURE, State.RETRY):
        moves.claim(connection, [new.id], "w1")
    if state == State.PROGRESS:
        moves.report_progress(connection, new.id, 1, {"percent": 50})
    elif state == State.SUCCESS:
        moves.succeed(connection, Outcome(job_id=new.id, attempt=1, result="result"))
    elif state == State.FAILURE:
        moves.fail(connection, new.id, "error", attempt=1)
    elif state == State.RETRY:
        moves.retry_later(connection, new.id, "error", time.time() - 1, attempt=1)
    elif state == State.REVOKED:
        moves.cancel(connection, new.id)
    return new


def seq_of(connection: Connection, new: NewJob) -> list[int]:
    found = queries.find(connection, new.id)
    return [found.seq] if found is not None else []


#: Of the jobs above that have failed.
GROUP = fingerprint("heavy", "error").key

Move = Callable[[Connection, NewJob], object]

#: By the name in the drawing, every way to call it that may make a difference.
MOVES: dict[str, list[Move]] = {
    "add": [lambda connection, _: moves.add(connection, new_job())],
    "add_once": [lambda connection, _: moves.add_once(connection, a_key("key"), new_job())],
    "adopt": [
        lambda connection, new: moves.adopt(connection, new, "w2"),
        lambda connection, _: moves.adopt(connection, new_job(), "w2"),
    ],
    "mark_published": [lambda connection, new: moves.mark_published(connection, [new.due])],
    "mark_due": [lambda connection, new: moves.mark_due(connection, [new.id])],
    "claim": [lambda connection, new: moves.claim(connection, [new.id], "w2")],
    "report_progress": [lambda connection, new: moves.report_progress(connection, new.id, 1, {"percent": 60})],
    "succeed": [
        lambda connection, new: moves.succeed(connection, Outcome(job_id=new.id, attempt=1, result="another result"))
    ],
    "fail": [
        lambda connection, new: moves.fail(connection, new.id, "another error", attempt=1),
        lambda connection, new: moves.fail(connection, new.id, "another error", by="w1"),
    ],
    "retry_later": [lambda connection, new: moves.retry_later(connection, new.id, "error", time.time(), attempt=1)],
    "release": [
        lambda connection, new: moves.release(connection, [new.id], "w1", MAX_DELIVERIES),
        lambda connection, new: moves.release(connection, [new.id], "w1", MAX_DELIVERIES, stopped=True),
        lambda connection, new: moves.release(connection, [new.id], "w1", 1),
        lambda connection, _: workers.retire(connection, "w1", MAX_DELIVERIES),
    ],
    "cancel": [lambda connection, new: moves.cancel(connection, new.id)],
    "cancel_all": [lambda connection, new: moves.cancel_all(connection, seq_of(connection, new))],
    "hold": [lambda connection, new: moves.hold(connection, [new.id])],
    "expire": [
        lambda connection, _: moves.expire(connection, time.time() + 1, 10),
        lambda connection, _: moves.expire(connection, time.time() - 60, 10),
    ],
    "delete_failed": [
        lambda connection, _: moves.delete_failed(connection, GROUP, time.time() + 1, 10),
        lambda connection, _: moves.delete_failed(connection, GROUP, time.time() - 60, 10),
    ],
}


def test_each_move_from_each_state_is_as_drawn(ledger: Ledger) -> None:
    found: Drawn = {}
    with ledger.writing() as connection:
        note_changes(connection)
        for state in State:
            for name, ways in MOVES.items():
                for move in ways:
                    with connection.begin_nested() as alone:
                        new = bring_to(connection, state)
                        row = queries.find(connection, new.id)
                        assert row is not None
                        assert row.state == state
                        changes(connection)
                        move(connection, new)
                        for change in changes(connection):
                            found.setdefault(change, set()).add(name)
                        assert unsound_jobs(connection.exec_driver_sql) == []
                        alone.rollback()
    assert found == drawn()


def test_only_the_moves_write_to_the_table() -> None:
    write = re.compile(
        r"\b(insert|update|delete)\(job\)|\bjob\.(insert|update|delete)\(|(INTO|UPDATE|DELETE FROM) job\b"
    )
    programs = [
        path for path in project_files() if path.suffix == ".py" and path.parts[0] in ("jobs", "flask", "celery")
    ]
    assert [str(path) for path in programs if write.search((ROOT / path).read_text())] == ["jobs/ledger/moves.py"]


# --- moves in any order ----------------------------------------------------------------------------------------------

JOBS = 2
WORKERS = st.sampled_from(["w1", "w2"])
ANY = st.integers(0, 1000)  # picks one of those that there are


@cache
def empty_ledger() -> bytes:
    """Return the file of a new ledger: to make one takes longer than a whole interleaving."""
    with tempfile.TemporaryDirectory() as folder:
        made = Ledger(f"sqlite:///{folder}/backend.db")
        upgrade(made)
        made.dispose()
        return (Path(folder) / "backend.db").read_bytes()


class Interleavings(RuleBasedStateMachine):
    """What web, relay, workers and beat do, in any order: late, twice, or never."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "backend.db"
        file.write_bytes(empty_ledger())
        self.ledger = Ledger(f"sqlite:///{file}")
        self.scope = self.ledger.writing()  # one transaction for all, since none of this needs a disk
        self.connection = self.scope.__enter__()
        note_changes(self.connection)
        self.arrows = set(drawn())
        self.jobs: list[NewJob] = []
        self.keys: dict[str, str] = {}
        #: Runs that were begun and may report at any time, even when others have taken over.
        self.runs: list[tuple[str, int]] = []
        #: What was read as due, and is or is not published and marked so later.
        self.read: list[DueJob] = []
        self.before: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.add(None)

    def teardown(self) -> None:
        if not hasattr(self, "scope"):
            return
        try:
            self.everything_reaches_an_end()
        finally:
            self.scope.__exit__(None, None, None)
            self.ledger.dispose()
            self.folder.cleanup()

    def row(self, job_id: str) -> Any:
        return queries.find(self.connection, job_id)

    def one(self, which: int) -> str:
        return self.jobs[which % len(self.jobs)].id

    # --- web and relay

    @precondition(lambda self: len(self.jobs) < JOBS)
    @rule(wait=st.sampled_from([None, -1, 60]))
    def add(self, wait: float | None) -> None:
        new = new_job(run_at=None if wait is None else time.time() + wait)
        moves.add(self.connection, new)
        self.jobs.append(new)

    @rule(key=st.sampled_from(["a", "b"]), same=st.booleans())
    def add_once(self, key: str, same: bool) -> None:
        new = new_job()
        if key not in self.keys:
            assert moves.add_once(self.connection, a_key(key), new) == new.id
            self.keys[key] = new.id
            self.jobs.append(new)
        elif same:
            assert moves.add_once(self.connection, a_key(key), new) == self.keys[key]
        else:
            with pytest.raises(KeyReused):
                moves.add_once(self.connection, a_key(key, "other"), new)

    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        row = self.row(self.one(which))
        was = moves.cancel(self.connection, self.one(which))
        assert was == (row.state if row is not None and row.state not in states.ENDED else None)

    @rule()
    def read_what_is_due(self) -> None:
        self.read += queries.due(self.connection, 10)

    @rule(which=ANY)
    def the_relay_holds_a_job(self, which: int) -> None:
        new = self.jobs[which % len(self.jobs)]
        self.read.append(new.due)

    @precondition(lambda self: self.read)
    @rule(which=ANY, keep=st.booleans())
    def mark_published(self, which: int, keep: bool) -> None:
        due = self.read[which % len(self.read)]
        if not keep:
            self.read.remove(due)
        moves.mark_published(self.connection, [due])

    # --- workers

    @rule(which=ANY, by=WORKERS, adopted=st.booleans())
    def claim(self, which: int, by: str, adopted: bool) -> None:
        job_id = self.one(which)
        before = self.row(job_id)
        if adopted and before is not None:
            claim = moves.adopt(self.connection, self.jobs[which % len(self.jobs)], by)
        else:
            claim = moves.claim(self.connection, [job_id], by).get(job_id)
        if claim is not None:
            assert before.state in states.WAITING
            assert claim.attempt == before.attempts + 1
            self.runs.append((job_id, claim.attempt))

    @precondition(lambda self: self.runs)
    @rule(which=ANY, report=st.sampled_from(["progress", "succeed", "fail", "retry"]), wait=st.sampled_from([-1, 60]))
    def report(self, which: int, report: str, wait: float) -> None:
        job_id, attempt = self.runs[-1 - which % min(4, len(self.runs))]
        row = self.row(job_id)
        fits = row is not None and row.attempts == attempt and row.state in states.RUNNING
        if report == "progress":
            told = moves.report_progress(self.connection, job_id, attempt, {"percent": which % 101})
        elif report == "succeed":
            outcome = Outcome(job_id=job_id, attempt=attempt, result=f"result of attempt {attempt}")
            told = moves.succeed(self.connection, outcome) == 1
            if told:
                assert job_id not in self.results, "a second result was accepted"
                self.results[job_id] = outcome.result
        elif report == "fail":
            told = moves.fail(self.connection, job_id, "no", attempt=attempt)
        else:
            told = moves.retry_later(self.connection, job_id, "again", time.time() + wait, attempt=attempt)
        assert told == fits

    @rule(which=ANY, by=WORKERS)
    def end_a_run_that_took_too_long(self, which: int, by: str) -> None:
        row = self.row(self.one(which))
        fits = row is not None and row.worker == by and row.state in states.RUNNING
        assert moves.fail(self.connection, self.one(which), "too long", by=by) == fits

    @rule(which=ANY, by=WORKERS, stopped=st.booleans())
    def release(self, which: int, by: str, stopped: bool) -> None:
        before = self.row(self.one(which))
        moves.release(self.connection, [self.one(which)], by, MAX_DELIVERIES, stopped=stopped)
        held = before is not None and before.state in states.RUNNING and before.worker == by
        assert (self.row(self.one(which)) != before) == held

    @rule(which=ANY)
    def take_over(self, which: int) -> None:
        """One worker is stopped while it runs a job, and the other begins it again; the first may still report."""
        row = self.row(self.one(which))
        if row is not None and row.state in states.RUNNING:
            self.release(which, row.worker, True)
            self.claim(which, "w2" if row.worker == "w1" else "w1", False)

    # --- beat

    @rule(by=WORKERS, stopped=st.booleans())
    def retire(self, by: str, stopped: bool) -> None:
        workers.retire(self.connection, by, MAX_DELIVERIES, stopped=stopped)
        assert by not in queries.holders(self.connection)

    @rule()
    def republish_what_the_broker_has_lost(self) -> None:
        ids = queries.unclaimed(self.connection, "heavy", time.time() + 1, 10)
        assert moves.mark_due(self.connection, ids) == len(ids)

    @rule(which=ANY)
    def republish_at_a_wrong_time(self, which: int) -> None:
        moves.mark_due(self.connection, [self.one(which)])

    @rule(everything=st.integers(0, 9))
    def expire(self, everything: int) -> None:
        if everything:  # mostly, nothing is old enough
            moves.expire(self.connection, time.time() - 3600, 10)
            return
        ended = {job_id for job_id in self.before if self.row(job_id).ended_at is not None}
        moves.expire(self.connection, time.time() + 1, 10)
        keys.expire(self.connection, time.time() + 1, 10)
        for job_id in ended:
            assert self.row(job_id) is None
            del self.before[job_id]
            self.results.pop(job_id, None)
        self.keys.clear()

    @rule(which=ANY)
    def delete_a_group_of_failures(self, which: int) -> None:
        """The keys of its jobs stay."""
        row = self.row(self.one(which))
        group = row.failure if row is not None else None
        gone = {job_id for job_id, known in self.before.items() if group is not None and known.failure == group}
        assert moves.delete_failed(self.connection, group or "", time.time() + 1, 10) == len(gone)
        for job_id in gone:
            assert self.row(job_id) is None
            del self.before[job_id]

    # --- what always holds

    @invariant()
    def states_change_as_drawn(self) -> None:
        if hasattr(self, "jobs"):
            assert changes(self.connection) - self.arrows == set()
            assert unsound_jobs(self.connection.exec_driver_sql) == []

    @invariant()
    def groups_of_failures_fit_their_jobs(self) -> None:
        if hasattr(self, "jobs"):
            counted = "SELECT failure, count(*) FROM job WHERE state = 'FAILURE' GROUP BY failure ORDER BY failure"
            groups = self.connection.exec_driver_sql("SELECT key, jobs FROM failure ORDER BY key").all()
            assert groups == self.connection.exec_driver_sql(counted).all()

    @invariant()
    def nothing_is_lost_or_resurrected(self) -> None:
        if not hasattr(self, "jobs"):
            return
        for new in self.jobs:
            now, before = self.row(new.id), self.before.get(new.id)
            if now is None:
                assert before is None, "a job is gone that was not removed"
                continue
            if before is not None:
                for counter in ("attempts", "deaths", "retries"):
                    assert getattr(now, counter) >= getattr(before, counter)
                if before.state in states.ENDED:
                    assert now == before, "an ended job has changed"
            if new.id in self.results:
                assert (now.state, now.result) == (State.SUCCESS, self.results[new.id])
            self.before[new.id] = now

    @invariant()
    def an_older_attempt_is_fenced_out(self) -> None:
        for job_id, attempt in getattr(self, "runs", [])[-2:]:
            row = self.row(job_id)
            if row is not None and row.attempts > attempt:
                assert not moves.report_progress(self.connection, job_id, attempt, {"percent": 1})
                assert not moves.succeed(self.connection, Outcome(job_id=job_id, attempt=attempt, result="too late"))
                assert not moves.fail(self.connection, job_id, "too late", attempt=attempt)
                assert not moves.retry_later(self.connection, job_id, "too late", time.time(), attempt=attempt)

    def everything_reaches_an_end(self) -> None:
        """Recover as beat does when all workers and messages are gone, then run what is due, once."""
        for by in queries.holders(self.connection):
            workers.retire(self.connection, by, 1000)
        moves.mark_due(self.connection, queries.unclaimed(self.connection, "heavy", time.time() + 1, 10))
        self.connection.exec_driver_sql("UPDATE job SET due_at = 0 WHERE due_at IS NOT NULL")  # time goes by
        for due in queries.due(self.connection, 100):
            moves.mark_published(self.connection, [due])
            attempt = moves.claim(self.connection, [due.id], "last")[due.id].attempt
            assert moves.succeed(self.connection, Outcome(job_id=due.id, attempt=attempt, result="at last"))
        assert queries.backlog(self.connection) == 0


TestInterleavings = Interleavings.TestCase


@pytest.fixture(autouse=True, scope="module")
def _as_many_as_asked_for(pytestconfig: pytest.Config) -> None:
    TestInterleavings.settings = settings(max_examples=pytestconfig.getoption("--interleavings"))
