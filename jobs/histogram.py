"""Durations, counted in buckets: quantiles of any number of them are told from a few figures that can be added up."""

import math
from collections import Counter

#: Each bucket reaches a fifth further than the one before. So a quantile is off by a tenth at most.
GROWTH = 1.2
#: The first bucket has everything up to here, in seconds.
FIRST = 0.001

#: How many durations are in each bucket, by its number.
Histogram = Counter[int]

_STEP = math.log(GROWTH)


def bucket(seconds: float) -> int:
    """Return the number of the bucket of a duration; a clock that was put back makes it negative, and the first."""
    return max(0, math.ceil(math.log(seconds / FIRST) / _STEP)) if seconds > FIRST else 0


def quantile(counts: Histogram, share: float) -> float | None:
    """Return the seconds within which that share of the durations is, from 0 to 1; ``None`` if there are none."""
    rank = max(1, math.ceil(share * counts.total()))
    for number in sorted(counts):
        rank -= counts[number]
        if rank <= 0:
            # The middle, as seen on a scale of powers: equally far off from both ends.
            return float(FIRST * GROWTH ** (number - 0.5))
    return None
