import pytest

from jobs.beat.sampling import duration, time_left
from jobs.commands.monitor_queue import sparkline


def test_a_history_line_reaches_its_top_at_the_largest_value() -> None:
    assert sparkline([0, 5, 10]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("unfinished", "in_rate", "out_rate", "text"),
    [(0, 5, 5, "empty"), (10, 0, 0, "not moving"), (10, 3, 1, "growing"), (120, 1, 3, "1:00")],
)
def test_time_left(unfinished: int, in_rate: float, out_rate: float, text: str) -> None:
    assert time_left(unfinished, in_rate, out_rate) == text
