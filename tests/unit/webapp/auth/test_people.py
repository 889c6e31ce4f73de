"""People and tokens: who is added, changed and removed, and what is refused."""

import pytest
from webapp.auth import passwords, people
from webapp.auth.remembered import Remembered

from jobs.ledger import accounts, tokens
from jobs.ledger.database import Ledger
from jobs.ledger.records import Role


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-a", "a" * 33, "a/b", "ä"])
def test_a_name_that_may_not_be_given(name: str) -> None:
    with pytest.raises(ValueError, match="A name has"):
        people.checked_name(name)


def test_a_name_is_given_once(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        people.add(connection, "ann", Role.VIEWER, "hash")
        with pytest.raises(ValueError, match="somebody called ann already"):
            people.add(connection, "ann", Role.ADMIN, "other")
        assert accounts.find(connection, "ann").role == "viewer"  # type: ignore[union-attr]


def test_somebody_of_the_same_name_does_not_get_the_sessions_of_the_one_before(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        stamps = []
        people.add(connection, "boss", Role.ADMIN, "hash")
        for _ in range(2):
            people.add(connection, "ann", Role.VIEWER, "hash")
            account = accounts.find(connection, "ann")
            assert account is not None
            stamps.append(account.stamp)
            people.remove(connection, "ann")
    assert stamps[0] != stamps[1]


def test_the_last_administrator_stays(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        people.add(connection, "ann", Role.ADMIN, "hash")
        with pytest.raises(ValueError, match="the only administrator"):
            people.remove(connection, "ann")
        people.add(connection, "ben", Role.ADMIN, "hash")
        people.remove(connection, "ann")


@pytest.mark.parametrize("days", [-1, 0, 3661, float("nan"), float("inf")])
def test_a_token_lives_for_a_time_that_makes_sense(ledger: Ledger, days: float) -> None:
    with ledger.writing() as connection, pytest.raises(ValueError, match="A token lives"):
        people.add_token(connection, "ci", Role.VIEWER, days)


def test_a_token_is_found_by_itself_and_by_nothing_that_is_kept(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        made = people.add_token(connection, "ci", Role.VIEWER, 1)
        found = tokens.find(connection, made)
        assert found is not None
        assert not found.expired
        assert tokens.find(connection, found.digest) is None
        assert tokens.find(connection, made.upper()) is None


def test_a_password_has_twelve_characters_or_more() -> None:
    with pytest.raises(ValueError, match="12 to 1024"):
        passwords.hash_of("eleven char")
    kept = passwords.hash_of("twelve chars")
    assert kept.startswith("$argon2id$")
    assert passwords.is_right("twelve chars", kept)
    assert not passwords.is_right("twelve charS", kept)
    assert not passwords.is_right("twelve chars", None)


def test_an_answer_serves_for_a_moment_and_no_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.auth.remembered.SECONDS", 3600.0)
    asked: list[str] = []
    known = {"a": 1}

    def look_up(key: str) -> int | None:
        asked.append(key)
        return known.get(key)

    remembered = Remembered(look_up)
    assert [remembered.get("a"), remembered.get("a"), remembered.get("b"), remembered.get("b")] == [1, 1, None, None]
    assert asked == ["a", "b", "b"]
    monkeypatch.setattr("webapp.auth.remembered.SECONDS", 0.0)
    del known["a"]
    assert remembered.get("c") is None
    late = Remembered(look_up)
    known["a"] = 2
    assert late.get("a") == 2
    del known["a"]
    assert late.get("a") is None
