"""The gate, for programs: who shows a token is let in."""

import pytest
from webapp import gate
from webapp.intake import Intake

from jobs.ledger import tokens
from jobs.ledger.database import Ledger
from jobs.settings import settings
from tests.support.stack import wait_until


def test_a_token_is_good_while_nothing_can_be_written_and_its_use_is_noted_later(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "broker_host", "127.0.0.1:1")  # where nothing listens
    intake = Intake(ledger)
    monkeypatch.setattr(gate, "ledger", lambda: ledger)
    monkeypatch.setattr(gate, "intake", lambda: intake)
    with ledger.writing() as connection:
        made = tokens.add(connection, "ci", "operator", None)
    assert made is not None

    with ledger.writing():
        found = gate._program(made)
        assert found is not None
        assert found.who == "token ci"

    def used() -> float | None:
        with ledger.reading() as connection:
            return tokens.all_of_them(connection)[0].last_used_at

    wait_until(used, 10, "the use is noted")
