import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from jobs.catalogue import ExportFilters
from jobs.ledger import todos
from jobs.ledger.database import Ledger
from jobs.ledger.schema import todo


@pytest.fixture
def filled(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(todos, "PAGE", 2)
    texts = ["Buy milk", "Äpfel", "100% sure", "1000 things", "buy bread"]
    with ledger.writing() as connection:
        for hour, text in enumerate(texts):
            created_at = datetime(2026, 1, 1, hour, tzinfo=UTC).timestamp()
            connection.execute(insert(todo).values(text=text, done=hour % 2 == 0, created_at=created_at))
    return ledger


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"done": True}, [1, 3, 5]),
        ({"done": False}, [2, 4]),
        ({"text": "BUY"}, [1, 5]),
        ({"text": "äp"}, [2]),
        ({"text": "0%"}, [3]),
        ({"text": "_"}, []),
        ({"created_from": "2026-01-01T02:00:00Z"}, [3, 4, 5]),
        ({"created_to": "2026-01-01T02:00:00Z"}, [1, 2]),
        ({"created_from": "2026-01-01T02:00:00+01:00", "created_to": "2026-01-01T03:00:00+00:00"}, [2, 3]),
        ({"done": True, "text": "buy", "created_from": "2026-01-01T01:00:00Z"}, [5]),
    ],
)
def test_filters_of_an_export(filled: Ledger, filters: dict[str, Any], ids: list[int]) -> None:
    chosen = ExportFilters.model_validate(filters)
    assert [row.id for _, rows in todos.export(filled, chosen) for row in rows] == ids


def test_an_export_needs_no_more_memory_for_more_todos(ledger: Ledger) -> None:
    def peak() -> int:
        tracemalloc.start()
        try:
            exported = sum(len(rows) for _, rows in todos.export(ledger, ExportFilters()))
            assert exported == len(rows_of_20_pages)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    rows_of_20_pages = [{"text": "x" * 500, "done": False, "created_at": 0.0}] * (20 * todos.PAGE)
    with ledger.writing(durable=False) as connection:
        connection.execute(insert(todo), rows_of_20_pages)
    # Two pages at most: the one that is being read, and the one before it.
    assert peak() < 2 * todos.PAGE * 2000


def test_todos_that_are_added_during_an_export_do_not_prolong_it(filled: Ledger) -> None:
    ids = []
    for _, rows in todos.export(filled, ExportFilters()):
        ids += [row.id for row in rows]
        with filled.writing() as connection:
            connection.execute(insert(todo).values(text="new", done=False, created_at=0))
    assert ids == [1, 2, 3, 4, 5]
