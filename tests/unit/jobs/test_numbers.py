import pytest

from jobs.numbers import plain


@pytest.mark.parametrize(
    ("number", "shown"), [(16.0, "16"), (-0.0, "0"), (0.5, "0.5"), (2e15, "2000000000000000"), (1e300, "1e+300")]
)
def test_integral_numbers_are_shown_as_integers(number: float, shown: str) -> None:
    assert str(plain(number)) == shown
