"""Answers about kinds of jobs."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from jobs.windows import WINDOWS
from webapp.models.common import Strict, Timestamp

if TYPE_CHECKING:
    WindowName = str
else:
    WindowName = Literal[tuple(WINDOWS)]


class WindowQuery(Strict):
    """Query of the list of kinds."""

    window: WindowName = Field("24h", description="How far back the figures go.")


class Quantiles(BaseModel):
    """So many seconds half, 95 and 99 of a hundred jobs took at most, give or take a tenth; null if there are none."""

    p50: float | None
    p95: float | None
    p99: float | None


class KindFigures(BaseModel):
    """What became of the jobs of one kind in a window."""

    began_at: Timestamp
    succeeded: int
    failed: int
    cancelled: int
    per_second: float = Field(description="Jobs that ended per second: the mean of the window.")
    failure_rate: float | None = Field(description="The share that failed, from 0 to 1, without cancelled jobs.")
    waiting: Quantiles = Field(description="Seconds from when a job could have started to its first run.")
    running: Quantiles = Field(description="Seconds of the last run of a job.")


class KindView(BaseModel):
    """A kind of job."""

    name: str
    queue: str
    description: str


class KindInList(KindView, KindFigures):
    """A kind of job, and what became of its jobs."""


class KindList(BaseModel):
    """All kinds of jobs."""

    window: WindowName
    data: list[KindInList]


class Slot(BaseModel):
    """A minute or an hour: how many jobs ended, and how."""

    began_at: Timestamp
    succeeded: int
    failed: int
    cancelled: int


class KindWindow(KindFigures):
    """What became of the jobs of one kind in a window, also minute by minute or hour by hour."""

    slots: list[Slot] = Field(description="Oldest first. The last one is not over.")


class KindDetail(KindView):
    """A kind of job, and what became of its jobs."""

    windows: dict[str, KindWindow] = Field(description="By name: `1h`, `24h`, `7d`.")
