"""Who did what: pages of it, all of it in order, and the end of old entries."""

from typing import Any

from sqlalchemy import event

from jobs.ledger import audit, expiry
from jobs.ledger.database import Ledger
from jobs.ledger.records import AuditEntry
from tests.support.databases import on_sqlite

ENTRY = AuditEntry(who="ann", role="operator", address="10.0.0.1", action="cancel", subject="a", at=1.0)


def test_entries_are_listed_newest_first_page_by_page_and_exported_oldest_first(ledger: Ledger) -> None:
    entries = [ENTRY._replace(subject=str(number), who="ann" if number % 2 else "ben") for number in range(7)]
    with ledger.writing() as connection:
        audit.add(connection, *entries)
    with ledger.reading() as connection:
        first = audit.page(connection, limit=3)
        second = audit.page(connection, limit=3, before=first[-1][0])
        assert [entry for _, entry in first + second] == entries[:0:-1]
        assert [entry.subject for _, entry in audit.page(connection, limit=9, who="ann")] == ["5", "3", "1"]
        assert [entry.subject for _, entry in audit.page(connection, limit=9, subject="4")] == ["4"]
        assert [entry for _, entry in audit.after(connection, first[0][0] - 2, 9)] == entries[-2:]


@on_sqlite
def test_what_was_done_to_a_job_is_found_without_a_walk_through_all_submissions(ledger: Ledger) -> None:
    submitted = ENTRY._replace(action="submit")
    refused = ENTRY._replace(outcome="refused")
    with ledger.writing() as connection:
        audit.add(connection, submitted, ENTRY, refused, ENTRY._replace(subject="b"), ENTRY._replace(action="retry"))
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    with ledger.reading() as connection:
        event.listen(ledger._engine, "before_cursor_execute", note)
        assert [entry.action for entry in audit.done_to(connection, "a", 9)] == ["retry", "cancel"]
        event.remove(ledger._engine, "before_cursor_execute", note)
        ((statement, parameters),) = statements
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert "USING INDEX audit_subject" in steps[0].detail


def test_old_entries_are_removed_and_newer_ones_stay(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        audit.add(connection, *(ENTRY._replace(at=float(number)) for number in range(500)))
    assert expiry.remove_old(ledger, 0, budget=60, audited_before=450.0) == 450
    with ledger.reading() as connection:
        assert [entry.at for _, entry in audit.after(connection, 0, 1000)] == [float(n) for n in range(450, 500)]
