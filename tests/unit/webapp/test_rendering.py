"""How pages write values."""

import pytest
from webapp.rendering import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.99, "0.9 s"),
        (9.99, "9.9 s"),
        (22.6, "22 s"),
        (59.9, "59 s"),
        (63.9, "1:03"),
        (3723.9, "1:02:03"),
    ],
)
def test_durations_are_rounded_down(seconds: float, text: str) -> None:
    assert duration(seconds) == text
