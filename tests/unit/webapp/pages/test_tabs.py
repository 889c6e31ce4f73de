"""The tabs over the list: each job is counted in one of them, and in "All"."""

import time

import pytest
from webapp.pages import tabs
from webapp.pages.tabs import TABS, Tally

from jobs.ledger import moves
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.states import State


def add(ledger: Ledger, count: int) -> list[str]:
    new = [NewJob(type="heavy", queue="heavy", params={}) for _ in range(count)]
    with ledger.writing() as connection:
        moves.add(connection, *new)
    return [each.id for each in new]


def counts(ledger: Ledger, tally: Tally) -> dict[str, int]:
    with ledger.reading() as connection:
        return {title: jobs for title, jobs in tally.counts(connection).items() if jobs}


def test_each_state_has_one_tab() -> None:
    listed = [(state, tab.scheduled) for tab in TABS for state in tab.status.split(",") if state]
    others = [(state, "") for state in State if state is not State.PENDING]
    assert sorted(listed) == sorted([("PENDING", "true"), ("PENDING", "false"), *others])


def test_jobs_are_counted_where_they_are(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs, "SERVES_FOR", 0)
    tally = Tally()
    assert counts(ledger, tally) == {}
    first, *_ = add(ledger, 3)
    assert counts(ledger, tally) == {"All": 3, "Waiting": 3}
    with ledger.writing() as connection:
        moves.cancel(connection, first)
    assert counts(ledger, tally) == {"All": 3, "Waiting": 2, "Cancelled": 1}
    with ledger.writing() as connection:
        moves.add(connection, NewJob(type="heavy", queue="heavy", params={}, run_at=time.time() + 60))
    assert counts(ledger, tally) == {"All": 4, "Scheduled": 1, "Waiting": 2, "Cancelled": 1}


def test_a_long_count_serves_for_a_while(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs, "SERVES_FOR", 1e9)
    tally = Tally()
    [first] = add(ledger, 1)
    assert counts(ledger, tally) == {"All": 1, "Waiting": 1}
    with ledger.writing() as connection:
        moves.cancel(connection, first)
    assert counts(ledger, tally) == {}, "what has ended since is not counted yet"
