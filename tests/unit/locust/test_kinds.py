"""What the users of locust/ submit is what the catalogue allows."""

import pytest

from jobs.catalogue import JOB_TYPES
from kinds import EXACT, KINDS, Kind, mixed


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_parameters_are_valid(kind: Kind) -> None:
    for _ in range(100):
        JOB_TYPES[kind.name].params.model_validate(kind.params())


def test_the_mix_has_each_of_its_kinds_and_sends_no_mail() -> None:
    names = {kind.name for kind in KINDS}
    assert sum(kind.weight for kind in KINDS) == 100
    assert {mixed().name for _ in range(2000)} == names
    assert "email_sending" not in names


@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.name)
def test_a_wrong_result_is_noticed(kind: Kind) -> None:
    assert not kind.right(kind.params(), "something else")
    assert not kind.right(kind.params(), None)
