"""The kinds of jobs that users submit: how often, with which parameters, and what a right result looks like.

Mails are left out: where ``SMTP_URL`` is set, they would really be sent.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of job."""

    name: str
    #: How many of 100 jobs are of this kind.
    weight: int
    #: Makes up the parameters of one job.
    params: Callable[[], Params]
    #: Tells whether a job with these parameters may have this result.
    right: Callable[[Params, Any], bool]


def _two_numbers() -> Params:
    return {"a": random.randint(-1000, 1000), "b": random.randint(1, 1000)}


#: Mostly short jobs, some that take a second, and a few that take more: as where people wait for most of them.
KINDS = (
    Kind(name="add", weight=45, params=_two_numbers, right=lambda params, result: result == params["a"] + params["b"]),
    Kind(
        name="text",
        weight=32,
        params=lambda: {"text": random.choice(("hello", "good morning", "warren")), "repeat": random.randint(1, 20)},
        right=lambda params, result: result == " ".join([params["text"].upper()] * params["repeat"]),
    ),
    Kind(
        name="divide", weight=8, params=_two_numbers, right=lambda params, result: result == params["a"] / params["b"]
    ),
    Kind(
        name="heavy",
        weight=4,
        params=lambda: {"seconds": random.choice((0.5, 1, 2))},
        right=lambda params, result: result == f"This task took {params['seconds']:g} seconds.",
    ),
    Kind(
        name="export",
        weight=5,
        params=lambda: {"filters": {"done": random.choice((True, False))}},
        right=lambda params, result: result.keys() == {"csv_path", "count"},
    ),
    Kind(
        name="image_processing",
        weight=5,
        params=lambda: {"num_images": random.randint(1, 3), "width": random.randint(100, 400)},
        right=lambda params, result: result["count"] == params["num_images"],
    ),
    Kind(
        name="csv_processing",
        weight=1,
        params=lambda: {"num_rows": random.randint(100, 1000), "processing_time": 5},
        right=lambda params, result: result["row_count"] == params["num_rows"],
    ),
)

#: Those whose result is known in advance to the last digit.
EXACT = tuple(kind for kind in KINDS if kind.name in ("heavy", "add", "divide", "text"))


def mixed() -> Kind:
    """Return one kind, each as often as its weight says."""
    return random.choices(KINDS, weights=[kind.weight for kind in KINDS])[0]
