"""Of several beats on PostgreSQL one leads, until its process or its connection is gone."""

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import SQLAlchemyError

from jobs.app import app
from jobs.beat import leadership, scheduler
from jobs.beat.leadership import Leadership
from jobs.ledger.database import Ledger
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.postgresql import Server
from tests.support.stack import wait_until


@pytest.fixture
def two(ledger: Ledger) -> Iterator[tuple[Leadership, Leadership]]:
    """Two that want to lead."""
    one, other = Leadership(ledger), Leadership(ledger)
    yield one, other
    one.leave()
    other.leave()


@on_sqlite
def test_on_sqlite_the_only_one_leads(ledger: Ledger) -> None:
    assert Leadership(ledger).seek()


@on_postgresql
def test_one_leads_and_the_other_does_when_it_has_left(two: tuple[Leadership, Leadership]) -> None:
    one, other = two
    for _ in range(3):
        assert one.seek()
        assert not other.seek()
    one.leave()
    wait_until(other.seek, 10, "the other one leads")
    assert not one.seek()
    assert not one.is_ours


@on_postgresql
def test_another_process_takes_over_when_the_leader_is_killed(ledger: Ledger) -> None:
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            leader = Leadership(ledger)
            os.write(there, b"leads" if leader.seek() else b"does not")
            signal.alarm(60)  # should this test end early
            signal.pause()
        finally:
            os._exit(1)
    assert os.read(here, 10) == b"leads"
    other = Leadership(ledger)
    assert not other.seek()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_until(other.seek, 10, "the other one leads")
    other.leave()
    os.close(here)
    os.close(there)


@on_postgresql
def test_a_leader_that_is_paused_leads_no_more(
    two: tuple[Leadership, Leadership], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "LEASE", 0.5)
    one, other = two
    assert one.seek()
    wait_until(other.seek, 10, "the other one leads")
    with pytest.raises(SQLAlchemyError):
        one.seek()
    assert one.is_ours, "it has not heard of the other one yet"
    assert not one.seek()
    assert not one.is_ours


@on_postgresql
def test_who_loses_the_connection_may_lead_again(
    two: tuple[Leadership, Leadership], ledger: Ledger, server: Server
) -> None:
    one, _ = two
    assert one.seek()
    server.end_sessions(ledger.url)
    with pytest.raises(SQLAlchemyError):
        one.seek()
    wait_until(one.seek, 10, "it leads again")


def test_one_of_two_beats_does_the_duties(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "ledger", lambda: ledger)
    done_by: list[object] = []
    monkeypatch.setattr(scheduler.LedgerScheduler, "_do_duties", lambda beat: done_by.append(beat))
    beats = [scheduler.LedgerScheduler(app, lazy=True) for _ in range(1 if ledger.file else 2)]
    for _ in range(3):
        for beat in beats:
            assert beat.tick() <= scheduler.TICK
    assert done_by == [beats[0]] * 3
    beats[0]._leadership.leave()

    def others_do_it() -> bool:
        beats[-1].tick()
        return done_by[-1] is beats[-1]

    wait_until(others_do_it, 10, "the other beat does the duties")
    beats[-1]._leadership.leave()
