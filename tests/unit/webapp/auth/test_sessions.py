"""Sessions of people: which of them are let in."""

import time

import pytest
from webapp.auth import people, sessions

from jobs.ledger import accounts
from jobs.ledger.database import Ledger
from jobs.ledger.records import Role


def test_a_session_with_the_new_stamp_is_let_in_at_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "ledger", lambda: ledger)
    now = time.time()

    def is_in(stamp: str) -> bool:
        return sessions._account("cora", stamp, now) is not None

    with ledger.writing() as connection:
        people.add(connection, "cora", Role.VIEWER, "hash")
        before = accounts.find(connection, "cora")
    assert before is not None
    assert is_in(before.stamp)
    with ledger.writing() as connection:
        accounts.change_password(connection, "cora", "another hash")
        after = accounts.find(connection, "cora")
    assert after is not None
    assert is_in(after.stamp)
    assert not is_in("stolen")
