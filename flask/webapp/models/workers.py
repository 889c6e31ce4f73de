"""Answers about workers, and about the autoscaler."""

from typing import Literal

from pydantic import BaseModel, Field

from webapp.models.common import Timestamp
from webapp.models.jobs import JobView


class WorkerView(BaseModel):
    """A worker."""

    name: str
    alive: bool = Field(description="It has given a sign of life in the last seconds.")
    queues: list[str] = Field(description="What it takes jobs from; empty if it takes no more.")
    concurrency: int = Field(description="Jobs that it can run at once.")
    running: int = Field(description="Jobs that it runs.")
    started_at: Timestamp
    seen_at: Timestamp
    memory: int | None = Field(description="Bytes that its container uses.")
    memory_limit: int | None = Field(description="Bytes that its container may use.")


class WorkerList(BaseModel):
    """The workers, by name."""

    data: list[WorkerView]


class WorkerDetail(WorkerView):
    """A worker, and its jobs."""

    running_jobs: list[JobView]
    recent_jobs: list[JobView] = Field(description="Among the last 1,000 jobs that ended, the newest of this worker.")


class WorkerState(BaseModel):
    """A worker that takes no more jobs."""

    name: str
    queues: list[str]


class AutoscalerLine(BaseModel):
    """Something that the autoscaler has said."""

    at: Timestamp
    text: str = Field(description="One sentence: what it does and why, or what it waits for.")


class AutoscalerView(BaseModel):
    """How the autoscaler stands."""

    status: Literal["never started", "runs", "silent", "ended"]
    started_at: Timestamp
    seen_at: Timestamp = Field(description="When it looked last, which it does about every two seconds.")
    ended_at: Timestamp
    queues: list[str] = Field(description="The queues that it looks after.")
    min_workers: int | None
    max_workers: int | None
    wait: float | None = Field(description="It adds workers when a job has to wait for more seconds than this.")
    cooldown: float | None = Field(description="It retires workers after so many seconds without a line.")
    workers: int | None = Field(description="Workers of these queues, with those that just start.")
    wanted: int | None = Field(description="How many it wanted when it looked last.")
    lines: list[AutoscalerLine] = Field(description="What it has said, newest first, at most 100.")
