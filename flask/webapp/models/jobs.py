"""Looking at jobs."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from jobs.catalogue import FAILURE_KEY, Words
from jobs.states import State
from webapp.models.common import PageQuery, PriorityWord, TaskType, Timestamp


class JobView(BaseModel):
    """Everything known about a job."""

    task_id: str
    task_type: str
    queue: str
    state: State
    status: State = Field(description="The same as `state`.")
    priority: PriorityWord
    request_id: str | None = Field(description="Of the request that has led to it, if there was one.")
    submitted_by: str | None = Field(description="Who wanted it, where people log in; or `schedule NAME`.")
    input_params: dict[str, Any]
    info: Any = Field(description="The progress while it runs, the result when it has succeeded.")
    result: Any = Field(description="The result; for a failed job, one sentence.")
    progress: int = Field(ge=0, le=100, description="Percent.")
    ready: bool = Field(description="It has ended.")
    successful: bool
    attempts: int = Field(description="Runs so far.")
    worker: str | None
    created_at: Timestamp
    run_at: Timestamp
    next_attempt_at: Timestamp
    started_at: Timestamp
    ended_at: Timestamp


class AttemptView(BaseModel):
    """A run that ended in another one."""

    number: int
    worker: str | None
    started_at: Timestamp
    ended_at: Timestamp
    error: str | None = Field(description="Why there had to be another: one sentence.")


class ReportView(BaseModel):
    """How far a run had come."""

    run: int = Field(description="Which run: 1 is the first.")
    at: Timestamp
    percent: int
    message: str


class JobDetail(JobView):
    """Everything known about a job, with its past."""

    past_attempts: list[AttemptView] = Field(description="Runs that ended in another one, first to last.")
    reports: list[ReportView] = Field(
        description="What the runs told of their progress, first to last: at most 20 of each, evenly along its way."
    )
    traceback: str | None = Field(description="Where its exception came from, if it failed by one.")
    retry_of: str | None = Field(description="The job that it repeats, if it is a retry.")
    retried_as: list[str] = Field(description="The jobs that repeat it, newest first, at most 20.")
    failure: str | None = Field(description="The group of failures that it belongs to: a `key` of `/failures`.")


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    data: list[JobView]
    next: str | None = Field(description="The cursor of the next page, of older jobs; null on the last one.")
    previous: str | None = Field(description="The cursor of the page of newer jobs; null when there are none yet.")
    looked_back_to: Timestamp = Field(
        description="Null, unless a search was stopped to answer in time. Then it has looked at the jobs accepted"
        " since, and `next` goes on from there."
    )


class StatusView(BaseModel):
    """How a job stands."""

    task_id: str
    status: State
    result: Any


class ResultView(BaseModel):
    """What a job came to."""

    status: State
    result: Any


def _split(text: Any) -> Any:
    return text.split(",") if isinstance(text, str) else text


class JobsQuery(PageQuery):
    """Query of the list of jobs."""

    status: Annotated[list[State], BeforeValidator(_split)] | None = Field(
        None,
        description="Only jobs in these states, separated by commas.",
    )
    task_type: TaskType | None = Field(None, description="Only jobs of this kind.")
    q: Words | None = Field(
        None,
        description="Only jobs that these words fit: what to look for in parameters, results and errors, the"
        " beginning of an id, states such as `failed`, and the fields `kind:`, `queue:`, `state:`, `worker:`, `id:`,"
        " `since:` and `until:`.",
        examples=['kind:divide failed since:1h "by zero"'],
    )
    failure: str | None = Field(
        None, pattern=FAILURE_KEY, description="Only jobs of this group of failures: a `key` of `/failures`."
    )
    scheduled: bool | None = Field(
        None, description="Only jobs that wait for their time (`true`), or only all others (`false`)."
    )
    cursor: str | None = Field(None, max_length=64, description="`next` or `previous` of another page.")


class StatusQuery(BaseModel):
    """Query of ``/status``."""

    task_id: str | None = Field(None, description="The job's id.")
