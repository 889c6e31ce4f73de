"""Jobs that failed alike."""

from pydantic import BaseModel, Field

from webapp.models.common import Timestamp


class FailureExample(BaseModel):
    """One of the jobs that failed alike."""

    task_id: str
    error: str = Field(description="Why it failed: one sentence.")


class FailureView(BaseModel):
    """Jobs that failed alike."""

    key: str = Field(examples=["3f2a99bc0142d7e8"])
    task_type: str
    message: str = Field(description="Their sentence, with placeholders for its variable parts.")
    count: int = Field(description="Jobs of the group that are still there.")
    first_at: Timestamp
    last_at: Timestamp
    history: list[int] = Field(description="How many failed in each of the last 24 hours, oldest first.")
    example: FailureExample = Field(description="The job of the group that was accepted last.")


class FailureList(BaseModel):
    """Groups of failures, the latest first."""

    data: list[FailureView]
