import pytest
from tasks import divide

from jobs.errors import JobFailed


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (1, 0.0, "Division by zero: b must not be 0."),
        (0, -0.0, "Division by zero: b must not be 0."),
        (1e15, 5e-324, "The quotient of 1e+15 and 4.94066e-324 is too large."),
    ],
)
def test_a_quotient_that_does_not_exist_is_told_in_a_sentence(a: float, b: float, sentence: str) -> None:
    with pytest.raises(JobFailed, match=sentence.replace("+", r"\+")):
        divide.quotient(a, b)


def test_a_quotient() -> None:
    assert divide.quotient(64, 4) == 16
    assert divide.quotient(1, 8) == 0.125
