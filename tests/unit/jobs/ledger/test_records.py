import pytest

from jobs.ledger.records import QueueSample, clock


def sample(unfinished: int, scheduled: int, in_rate: float, out_rate: float) -> QueueSample:
    return QueueSample(
        at=0,
        name="heavy",
        ready=0,
        unacknowledged=0,
        consumers=1,
        unfinished=unfinished,
        scheduled=scheduled,
        in_rate=in_rate,
        out_rate=out_rate,
    )


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")])
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("unfinished", "scheduled", "in_rate", "out_rate", "text"),
    [
        (0, 0, 5, 5, "empty"),
        (10, 0, 0, 0, "not moving"),
        (10, 0, 3, 1, "growing"),
        (120, 0, 1, 3, "1:00"),
        (9, 9, 0.15, 0, "empty"),
        (129, 9, 1, 3, "1:00"),
    ],
)
def test_time_left(unfinished: int, scheduled: int, in_rate: float, out_rate: float, text: str) -> None:
    assert sample(unfinished, scheduled, in_rate, out_rate).time_left == text
