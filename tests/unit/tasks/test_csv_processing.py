import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks import csv_processing


@given(st.lists(st.integers(0, 100_000), min_size=1))
def test_a_summary_says_what_the_rows_say(hundredths: list[int]) -> None:
    summary = csv_processing.Summary()
    for value in hundredths:
        summary.add(value)
    assert summary.describe() == {
        "sum": sum(hundredths) / 100,
        "average": pytest.approx(sum(hundredths) / len(hundredths) / 100, abs=0.0001),
        "min": min(hundredths) / 100,
        "max": max(hundredths) / 100,
        "row_count": len(hundredths),
    }
