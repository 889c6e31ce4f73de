"""Tries to log in that failed: the more there were, the longer the next one waits."""

import pytest

from jobs.ledger import logins
from jobs.ledger.database import Ledger


class Clock:
    """The time, as the module sees it."""

    now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(logins, "time", clock)
    return clock


def fail(ledger: Ledger, name: str, address: str, times: int) -> float:
    """Fail so often, and return the wait after that."""
    counted_for = logins.subjects(name, address)
    with ledger.writing() as connection:
        for _ in range(times):
            logins.failed(connection, counted_for)
        return logins.wait(connection, counted_for)


def test_the_wait_doubles_up_to_a_minute_for_the_account(ledger: Ledger, clock: Clock) -> None:
    waits = [fail(ledger, "ann", f"10.0.0.{number}", 1) for number in range(1, 14)]
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_the_wait_doubles_up_to_a_quarter_of_an_hour_for_the_address(ledger: Ledger, clock: Clock) -> None:
    waits = [fail(ledger, f"name{number}", "10.0.0.1", 1) for number in range(1, 17)]
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_the_wait_passes_and_after_an_hour_all_is_forgotten(ledger: Ledger, clock: Clock) -> None:
    assert fail(ledger, "ann", "10.0.0.1", 6) == 4
    clock.now += 3
    with ledger.reading() as connection:
        assert logins.wait(connection, logins.subjects("ann", "10.0.0.1")) == 1
    clock.now += 3600
    assert fail(ledger, "ann", "10.0.0.1", 1) == 0


def test_who_is_in_has_no_failures_any_more_but_the_address_has(ledger: Ledger, clock: Clock) -> None:
    fail(ledger, "ann", "10.0.0.1", 6)
    with ledger.writing() as connection:
        logins.succeeded(connection, logins.subjects("ann", "10.0.0.1"))
        assert logins.wait(connection, logins.subjects("ann", "10.0.0.2")) == 0
        assert logins.wait(connection, logins.subjects("ben", "10.0.0.1")) == 4
