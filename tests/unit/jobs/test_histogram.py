"""Quantiles from buckets: near the true ones, and the same however the durations were added up."""

import math
import random
from collections import Counter

import pytest

from jobs.histogram import FIRST, bucket, quantile


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_quantile_is_off_by_a_tenth_at_most(share: float) -> None:
    durations = sorted(random.Random(1).lognormvariate(0, 2) + FIRST for _ in range(2000))
    true = durations[math.ceil(share * len(durations)) - 1]
    assert quantile(Counter(map(bucket, durations)), share) == pytest.approx(true, rel=0.1)


def test_parts_can_be_added_up() -> None:
    durations = [0.01 * number for number in range(1, 1000)]
    parts = Counter(map(bucket, durations[:300])) + Counter(map(bucket, durations[300:]))
    assert parts == Counter(map(bucket, durations))


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 1e-9, FIRST])
def test_all_that_took_no_time_is_in_the_first_bucket(seconds: float) -> None:
    assert bucket(seconds) == 0
    assert bucket(1.001 * FIRST) == 1


def test_nothing_has_no_quantile() -> None:
    assert quantile(Counter(), 0.5) is None
