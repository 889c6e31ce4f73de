import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from tasks import export

from jobs.catalogue import ExportFilters
from jobs.ledger import todos
from jobs.ledger.database import Ledger
from jobs.ledger.schema import todo


@given(st.text())
def test_no_cell_begins_a_formula_and_the_text_is_still_there(text: str) -> None:
    cell = export.harmless(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.endswith(text)
    assert len(cell) <= len(text) + 1


def test_a_line_is_csv_with_an_iso_time_in_utc(ledger: Ledger) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    text = '=HYPERLINK("http://x"), "a"\nb'
    with ledger.writing() as connection:
        connection.execute(insert(todo).values(text=text, done=True, created_at=moment.timestamp()))
    [(share, rows)] = todos.export(ledger, ExportFilters())
    assert share == 1
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(export.line(rows[0]))
    buffer.seek(0)
    assert list(csv.reader(buffer)) == [["1", f"'{text}", "true", "2026-01-02T03:04:05+00:00"]]
