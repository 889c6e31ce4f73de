from jobs.commands.monitor_queue import sparkline


def test_a_history_line_reaches_its_top_at_the_largest_value() -> None:
    assert sparkline([0, 5, 10]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
