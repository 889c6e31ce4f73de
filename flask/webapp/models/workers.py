"""Answers about workers."""

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
