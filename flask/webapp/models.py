"""Bodies, queries and answers of the API, as the OpenAPI document describes them."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StrictBool,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from jobs import question, slots
from jobs.catalogue import FAILURE_KEY, JOB_TYPES, JobType, Moment
from jobs.states import State

#: Rows of a page, unless the client asks for fewer or more.
PAGE = 50
LARGEST_PAGE = 500
#: Jobs of a batch.
LARGEST_BATCH = 1000
#: What ``run_at`` may be. A time that is over means now; one that is very far away is a mistake.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
FURTHEST = timedelta(days=3653)

if TYPE_CHECKING:
    TaskType = str
else:
    TaskType = Literal[tuple(JOB_TYPES)]
Timestamp = Annotated[str | None, Field(description="ISO 8601, UTC.", json_schema_extra={"format": "date-time"})]


class Strict(BaseModel):
    """What a client sends: unknown names are errors."""

    model_config = ConfigDict(extra="forbid")


# --- submitting -------------------------------------------------------------------------------------------------------


def _within_reach(moment: datetime) -> datetime:
    if not EARLIEST <= moment <= datetime.now(UTC) + FURTHEST:
        raise PydanticCustomError("out_of_reach", "Input should be a time from 1970 to ten years from now")
    return moment


_Priority = Literal["normal", "high"]
_RunAt = Annotated[Moment, AfterValidator(_within_reach)]


def _parameters(job_type: JobType) -> Any:
    if any(field.is_required() for field in job_type.params.model_fields.values()):
        return Field(description="Its parameters.")
    return Field(default={}, validate_default=True, description="Its parameters.")


_SUBMISSIONS = [
    create_model(
        f"Submit_{job_type.name}",
        __base__=Strict,
        __doc__=job_type.summary,
        task_type=(cast(Any, Literal[job_type.name]), Field(description="The kind of job.")),
        input_params=(job_type.params, _parameters(job_type)),
        run_at=(_RunAt | None, Field(None, description="Not to be started before this time, with its offset.")),
        priority=(
            _Priority,
            Field("normal", description="A job of high priority goes before the others of its queue."),
        ),
    )
    for job_type in JOB_TYPES.values()
]


_AnySubmission: Any = Annotated[Union[tuple(_SUBMISSIONS)], Field(discriminator="task_type")]  # noqa: UP007


class Submission(RootModel[_AnySubmission]):
    """A job of any kind."""


class Batch(Strict):
    """Jobs that are accepted together: all of them, or none."""

    jobs: list[_AnySubmission] = Field(min_length=1, max_length=LARGEST_BATCH, description="In any mixture of kinds.")


class IdempotencyHeader(BaseModel):
    """Header of a submission."""

    model_config = ConfigDict(validate_by_name=True)  # APIFlask turns the names of headers into those of fields

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Sending the same key and body again does not make a second job.",
    )


class Accepted(BaseModel):
    """The job is on disk and will reach an end."""

    task_id: str = Field(examples=["0b6e9c0e-5f0f-4b6e-9d43-6f3a2f6a7c11"])


class AcceptedBatch(BaseModel):
    """The jobs are on disk and will reach an end."""

    task_ids: list[str] = Field(description="In the order of the jobs.")


# --- looking ----------------------------------------------------------------------------------------------------------


class JobView(BaseModel):
    """Everything known about a job."""

    task_id: str
    task_type: str
    queue: str
    state: State
    status: State = Field(description="The same as `state`.")
    priority: _Priority
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


class JobDetail(JobView):
    """Everything known about a job, with its past."""

    past_attempts: list[AttemptView] = Field(description="Runs that ended in another one, first to last.")
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


def _readable(text: str) -> str:
    try:
        question.read(text)
    except question.Unreadable as error:
        raise PydanticCustomError("unreadable", "{reason}", {"reason": str(error)}) from None
    return text


class PageQuery(Strict):
    """Query of a list."""

    limit: int = Field(PAGE, ge=1, le=LARGEST_PAGE, description="Rows of the page.")
    cursor: str | None = Field(None, max_length=64, description="`next` of the page before.")


class JobsQuery(PageQuery):
    """Query of the list of jobs."""

    status: Annotated[list[State], BeforeValidator(_split)] | None = Field(
        None,
        description="Only jobs in these states, separated by commas.",
    )
    task_type: TaskType | None = Field(None, description="Only jobs of this kind.")
    q: Annotated[str, AfterValidator(_readable)] | None = Field(
        None,
        max_length=question.LONGEST,
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


# --- failures ---------------------------------------------------------------------------------------------------------


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


# --- recurring jobs ---------------------------------------------------------------------------------------------------


def _cron(expression: str) -> str:
    try:
        slots.check_cron(expression)
    except ValueError as error:
        raise PydanticCustomError("cron", "{reason}", {"reason": str(error)}) from None
    return expression


def _zone(name: str) -> str:
    try:
        slots.zone(name)
    except ValueError as error:
        raise PydanticCustomError("timezone", "{reason}", {"reason": str(error)}) from None
    return name


_Cron = Annotated[str, Field(max_length=128, examples=["30 2 * * *"]), AfterValidator(_cron)]
_Every = Annotated[float, Field(strict=True, ge=1, le=366 * 86400)]
_Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]


class NewSchedule(Strict):
    """A recurring job: `cron` or `every` says when."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Up to 64 letters, digits and . _ -",
        examples=["nightly-export"],
    )
    cron: _Cron | None = Field(None, description="Minute, hour, day of month, month and day of week.")
    every: _Every | None = Field(None, description="Seconds between two jobs.")
    timezone: _Zone = Field("UTC", description="IANA name of the zone in which `cron` is read.")
    task_type: TaskType = Field(description="The kind of job.", examples=["export"])
    input_params: dict[str, Any] = Field({}, description="Its parameters.")
    paused: StrictBool = Field(False, description="Whether no jobs are made until this is changed.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise PydanticCustomError("one_way", "Give either cron or every")
        return self


class ScheduleChange(Strict):
    """What to change of a recurring job; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    cron: _Cron | None = None
    every: _Every | None = None
    timezone: _Zone | None = None
    task_type: TaskType | None = None
    input_params: dict[str, Any] | None = None
    paused: StrictBool | None = None


class ScheduleView(BaseModel):
    """A recurring job."""

    name: str
    cron: str | None
    every: float | None
    timezone: str
    task_type: str
    input_params: dict[str, Any]
    paused: bool
    created_at: Timestamp
    next_run_at: Timestamp
    last_run_at: Timestamp
    last_task_id: str | None = Field(description="The id of the newest job that it has made.")


class ScheduleList(BaseModel):
    """All recurring jobs, by name."""

    data: list[ScheduleView]


# --- to-dos -----------------------------------------------------------------------------------------------------------

# Anything but these has to be seen: spaces of all kinds, and control characters.
_BLANK = r"\x00-\x20\x7f-\xa0\xad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
# No NUL character: PostgreSQL cannot store it.
_TODO = rf"^[^\x00]*[^{_BLANK}][^\x00]*$"


def _not_blank(text: Any) -> Any:
    if isinstance(text, str) and len(text) > 0 and re.fullmatch(rf"[{_BLANK}]*", text):
        raise PydanticCustomError("blank", "Input should not be blank")
    return text


TodoText = Annotated[
    str,
    Field(min_length=1, max_length=500, pattern=_TODO, examples=["water the plants"]),
    BeforeValidator(_not_blank),
]


class NewTodo(Strict):
    """A to-do to add."""

    text: TodoText
    done: StrictBool = False


class TodoChange(Strict):
    """What to change of a to-do; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    text: TodoText | None = None
    done: StrictBool | None = None


class TodoView(BaseModel):
    """A to-do."""

    id: int
    text: str
    done: bool
    created_at: Timestamp


class TodoPage(BaseModel):
    """A page of to-dos, oldest first."""

    data: list[TodoView]
    next: str | None


class AuditQuery(PageQuery):
    """Query of the audit."""

    who: str | None = Field(None, max_length=80, description="Only what this person or token did.")
    subject: str | None = Field(None, max_length=128, description="Only what was done to this job, person or token.")


class TodosQuery(PageQuery):
    """Query of the list of to-dos."""

    done: bool | None = Field(None, description="Only those that are done, or only those that are not.")


# --- the rest ---------------------------------------------------------------------------------------------------------


class QueueView(BaseModel):
    """One queue at one moment."""

    name: str
    ready: int | None = Field(description="Messages that wait for a worker; null while RabbitMQ does not answer.")
    unacknowledged: int | None = Field(description="Messages that workers hold.")
    consumers: int | None = Field(description="Workers that take from it.")
    unfinished: int = Field(description="Jobs that have not ended, by the ledger.")
    scheduled: int = Field(description="Those of them whose time has not come.")
    in_rate: float = Field(description="Jobs accepted per second, over the last minute.")
    out_rate: float = Field(description="Jobs ended per second, over the last minute.")
    paused: bool = Field(description="None of its jobs is started until it is resumed.")


class QueuesView(BaseModel):
    """The queues."""

    data: list[QueueView]
    rabbitmq: str = Field(description="`ok`, or why it does not answer.")


class QueueState(BaseModel):
    """Whether the jobs of a queue are started."""

    name: str
    paused: bool


class SampleView(BaseModel):
    """The queues at one moment."""

    at: float = Field(description="Seconds since the epoch.")
    queues: dict[str, QueueView] = Field(description="By name.")


class HistoryView(BaseModel):
    """The queues over the last ten minutes, oldest sample first."""

    data: list[SampleView]


class HealthView(BaseModel):
    """The web answers."""

    status: Literal["healthy"]
    timestamp: str


class BackgroundView(BaseModel):
    """What works behind the web."""

    rabbitmq: str = Field(description="`ok`, or why not.")
    ledger: str = Field(description="`ok`, or why not.")
    workers: int


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemView(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
