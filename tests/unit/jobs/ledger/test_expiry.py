"""What keeps expiry from blocking anyone: little in each transaction, found by indexes, and pauses (bench/expiry)."""

import time
from typing import Any

import pytest
from sqlalchemy import event

from jobs.ledger import expiry, mails, moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import IdempotencyKey, NewJob
from tests.support.databases import on_sqlite


def add_ended(ledger: Ledger, count: int) -> None:
    """Add jobs that have ended, each with a key and a mail."""
    with ledger.writing() as connection:
        for _ in range(count):
            new = NewJob(type="email_sending", queue="export", params={"subject": "x" * 500})
            moves.add_once(connection, IdempotencyKey(text=f"key of {new.id}", fingerprint="print"), new)
            mails.reserve(connection, new.id, 1)
            moves.cancel(connection, new.id)


def count(ledger: Ledger, table: str) -> int:
    with ledger.reading() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


@pytest.mark.parametrize(
    ("hold", "left"), [(60, [50, 30, 0]), (0, [50, 45, 43, 42, 41])], ids=["they_are_short", "they_are_long"]
)
def test_transactions_grow_or_shrink_and_others_have_their_turn_after_each(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, hold: float, left: list[int]
) -> None:
    monkeypatch.setattr(expiry, "HOLD", hold)
    add_ended(ledger, 60)
    seen: list[int] = []

    def look(pause: float) -> None:
        assert pause > 0
        seen.append(count(ledger, "job"))

    monkeypatch.setattr(time, "sleep", look)
    assert expiry.remove_old(ledger, time.time() + 1, budget=60) == 120
    assert seen[: len(left)] == left
    assert [count(ledger, table) for table in ("job", "mail", "idempotency")] == [0, 0, 0]


def test_a_transaction_has_a_largest_size(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "HOLD", 60)
    monkeypatch.setattr(expiry, "LARGEST", 12)
    limits: list[int] = []

    def expire(_connection: Any, _ended_before: float, limit: int) -> int:
        limits.append(limit)
        return limit if len(limits) < 5 else 0

    monkeypatch.setattr(moves, "expire", expire)
    expiry.remove_old(ledger, time.time(), budget=60)
    assert limits == [10, 12, 12, 12, 12]


def test_what_does_not_fit_into_the_time_is_left_for_the_next(ledger: Ledger) -> None:
    add_ended(ledger, 25)
    assert expiry.remove_old(ledger, time.time() + 1, budget=0) == 20
    assert count(ledger, "job") == 15


def test_keys_alone_are_removed_as_well(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        for number in range(25):
            new = NewJob(type="heavy", queue="heavy", params={})
            moves.add_once(connection, IdempotencyKey(text=f"key {number}", fingerprint="print"), new)
    assert expiry.remove_old(ledger, time.time() + 1, budget=60) == 25
    assert (count(ledger, "job"), count(ledger, "idempotency")) == (25, 0)


@on_sqlite
def test_every_statement_of_expiry_goes_by_an_index(ledger: Ledger) -> None:
    add_ended(ledger, 3)
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            statements.append((statement, parameters))

    event.listen(ledger._engine, "before_cursor_execute", note)
    expiry.remove_old(ledger, time.time() + 1, budget=0)
    event.remove(ledger._engine, "before_cursor_execute", note)
    assert {statement.split()[0] for statement, _ in statements} == {"SELECT", "DELETE"}
    for statement, parameters in statements:
        with ledger.reading() as connection:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        # SQLite calls every use of a virtual table a scan; this one asks for rows by their number.
        details = [step.detail for step in steps if step.detail != "SCAN job_words VIRTUAL TABLE INDEX 0:="]
        assert [detail for detail in details if "SCAN" in detail or "TEMP B-TREE" in detail] == []


@on_sqlite
def test_the_space_of_removed_rows_is_used_again(ledger: Ledger) -> None:
    def pages() -> int:
        with ledger.reading() as connection:
            return int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())

    sizes = []
    for _ in range(3):
        add_ended(ledger, 100)
        sizes.append(pages())
        expiry.remove_old(ledger, time.time() + 1, budget=60)
        with ledger.reading() as connection:
            assert queries.newest_seq(connection) == 0
    assert max(sizes) <= 1.2 * sizes[0]
