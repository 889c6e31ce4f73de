"""What all measurements share: how much is measured, and what comes out."""

from dataclasses import dataclass
from typing import Any

#: The figures of one measurement.
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How long and how much. `--quick` uses the small one."""

    rounds: int
    #: Seconds of submitting without and with a worker.
    burst: float
    sustained: float
    #: Jobs that wait for a worker, and seconds that it is watched at most.
    backlog: int
    drain: float
    #: Seconds of asking for one job after the other.
    latency: float
    #: Seconds of submitting while containers are killed.
    loss: float
    #: Rows of the tables that are listed.
    lists: tuple[int, ...]


FULL = Size(
    rounds=2, burst=10, sustained=60, backlog=8000, drain=20, latency=6, loss=12, lists=(100, 10_000, 1_000_000)
)
QUICK = Size(rounds=1, burst=5, sustained=10, backlog=3000, drain=8, latency=3, loss=6, lists=(100, 10_000))

#: Seconds of waiting for something that should have come long ago.
PATIENCE = 40


def microseconds(seconds: dict[str, float], jobs: int) -> Row:
    """Return processor time for each job, by container."""
    return {"microseconds": {role: spent / max(jobs, 1) * 1e6 for role, spent in seconds.items()}}
