"""The catalogue: every kind of job, its parameters and its limits.

A new kind of job is one entry here and one module of the same name in ``celery/tasks/``. Validation, routing and limits
follow from the entry.
"""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

HEAVY = "heavy"
EXPORT = "export"
ARITHMETIC = "arithmetic"

#: The queues, which ``rabbitmq/definitions.json.template`` declares, and the share of a worker's processes that each
#: may take when the worker serves others too: long jobs leave a quarter of them to the short ones.
QUEUES = {HEAVY: 0.5, EXPORT: 0.25, ARITHMETIC: 1.0}


def places(queue: str, queues: str, concurrency: int) -> int:
    """Return how many jobs of a queue run at once in a worker that serves ``queues``, names with commas between."""
    return concurrency if queues == queue else max(1, int(concurrency * QUEUES[queue]))


class Params(BaseModel):
    """Parameters of a job: unknown names are errors, so that a typing mistake is told and not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, field: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[field.field_name or ""].annotation in (int, float):
            raise PydanticCustomError("not_a_number", "Input should be a number")
        return value


#: A JSON number: no string that looks like one, and none too large for a float to hold exactly.
Number = Annotated[float, Field(strict=True, ge=-1e15, le=1e15)]


def _only_text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise PydanticCustomError("not_text", "Input should be a time in ISO 8601, as text")


#: A time with its offset, as text: a mere number would be taken for seconds or milliseconds, whichever fits better.
Moment = Annotated[AwareDatetime, BeforeValidator(_only_text)]


class HeavyParams(Params):
    """Parameters of ``heavy``."""

    seconds: float = Field(
        default_factory=lambda: random.randint(1, 3),
        ge=0,
        le=60,
        description="How long to sleep; a random 1 to 3 when left out.",
        examples=[2],
    )


class Numbers(Params):
    """Parameters of ``add`` and ``divide``."""

    a: Number = Field(description="The first number.", examples=[12])
    b: Number = Field(description="The second number.", examples=[4])


class TextParams(Params):
    """Parameters of ``text``."""

    text: str = Field(min_length=1, max_length=10_000, description="What to write in capitals.", examples=["hello"])
    repeat: int = Field(1, ge=1, le=100, description="How often.", examples=[3])


def _after_the_beginning(end: datetime, given: ValidationInfo) -> datetime:
    start = given.data.get("created_from")
    if start is not None and end <= start:
        raise PydanticCustomError("never", "Input should be later than created_from")
    return end


_End = Annotated[Moment, AfterValidator(_after_the_beginning)]


class ExportFilters(Params):
    """Which to-dos to export; all of them when nothing is given."""

    done: StrictBool | None = Field(None, description="Only those that are done, or only those not.", examples=[False])
    text: str | None = Field(None, max_length=500, description="Only those whose text contains this.")
    created_from: Moment | None = Field(None, description="Only those made at this time or later.")
    created_to: _End | None = Field(None, description="Only those made before this time.")


class ExportParams(Params):
    """Parameters of ``export``."""

    filters: ExportFilters = Field(default_factory=ExportFilters, description="Which to-dos to export.")


class CsvParams(Params):
    """Parameters of ``csv_processing``."""

    num_rows: int = Field(1000, ge=100, le=10_000, description="Rows to generate.", examples=[1000])
    processing_time: float = Field(10, ge=5, le=60, description="Seconds to spend on them.", examples=[5])


class EmailParams(Params):
    """Parameters of ``email_sending``."""

    num_emails: int = Field(5, ge=1, le=100, description="Mails to send.", examples=[5])
    subject: str = Field(
        "Hello from Warren",
        min_length=1,
        max_length=200,
        pattern=r"^[^\r\n]*$",
        description="Subject line of each.",
        examples=["Hello"],
    )
    delay: float = Field(0.5, ge=0.5, le=5, description="Seconds between two of them.", examples=[0.5])


class ImageParams(Params):
    """Parameters of ``image_processing``."""

    num_images: int = Field(5, ge=1, le=20, description="Images to make.", examples=[3])
    width: int = Field(800, ge=100, le=2000, description="Width to resize each to, in pixels.", examples=[800])
    height: int = Field(600, ge=100, le=2000, description="Height to resize each to, in pixels.", examples=[600])


def _known_type(name: str) -> str:
    if name not in JOB_TYPES:
        raise PydanticCustomError("unknown_type", "Input should be one of {names}", {"names": ", ".join(JOB_TYPES)})
    return name


if TYPE_CHECKING:
    _QueueName = str
else:
    _QueueName = Literal[tuple(QUEUES)]


#: Characters of the words that somebody looks for jobs with, see :mod:`jobs.question`.
LONGEST_QUESTION = 200


def _readable(text: str) -> str:
    from jobs import question  # which knows the catalogue

    try:
        question.read(text)
    except question.Unreadable as error:
        raise PydanticCustomError("unreadable", "{reason}", {"reason": str(error)}) from None
    return text


#: Words that say which jobs are looked for, as in the list of jobs.
Words = Annotated[str, Field(max_length=LONGEST_QUESTION), AfterValidator(_readable)]

#: Jobs that a filter may name one by one.
MOST_NAMED = 500
#: The key of a group of failures, see :mod:`jobs.fingerprint`.
FAILURE_KEY = "^[0-9a-f]{16}$"


class _JobFilter(Params):
    """Which jobs: those that fit everything that is given. At least one thing has to be."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    task_type: Annotated[str, AfterValidator(_known_type)] | None = Field(None, description="Only jobs of this kind.")
    queue: _QueueName | None = Field(None, description="Only jobs of this queue.")
    created_from: Moment | None = Field(None, description="Only jobs accepted at this time or later.")
    created_to: _End | None = Field(None, description="Only jobs accepted before this time.")
    q: Words | None = Field(
        None,
        description="Only jobs that these words fit, as in the list of jobs. Times are counted back from now.",
        examples=["since:1h"],
    )
    task_ids: list[Annotated[str, Field(max_length=36)]] | None = Field(
        None, min_length=1, max_length=MOST_NAMED, description="Only jobs with these ids."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise PydanticCustomError(
                "empty", "Give at least one of {names}", {"names": ", ".join(type(self).model_fields)}
            )
        return self


class CancelFilter(_JobFilter):
    """Parameters of ``cancel_jobs``."""

    status: list[Literal["PENDING", "STARTED", "PROGRESS", "RETRY"]] | None = Field(
        None,
        min_length=1,
        description="Only jobs in these states; all that have not ended when left out.",
        examples=[["PENDING"]],
    )
    scheduled: StrictBool | None = Field(
        None, description="Only jobs that wait for their time, or only all others.", examples=[False]
    )


class RetryFilter(_JobFilter):
    """Parameters of ``retry_jobs``."""

    status: list[Literal["FAILURE", "REVOKED"]] | None = Field(
        None, min_length=1, description="Only jobs in these states; both when left out.", examples=[["FAILURE"]]
    )
    failure: str | None = Field(
        None,
        pattern=FAILURE_KEY,
        description="Only jobs of this group of failures, and of these only those that were not run again yet.",
    )


class FailureFilter(Params):
    """Parameters of ``delete_failures``."""

    failure: str = Field(
        pattern=FAILURE_KEY,
        description="The group of failures: a `key` of `/failures`.",
        examples=["3f2a99bc0142d7e8"],
    )


@dataclass(frozen=True, kw_only=True)
class JobType:
    """One kind of job."""

    #: Celery's task name, and the last part of the route that submits it.
    name: str
    #: The queue it waits in, one of :data:`QUEUES`.
    queue: str
    #: The model that checks its parameters before anything is stored.
    params: type[Params]
    #: One sentence for people.
    summary: str
    #: Whether a run takes milliseconds at most: then several jobs share a turn of a pool process, one after the other.
    quick: bool = False
    #: Whether it acts on other jobs: then it goes before them, and runs also while its queue is paused.
    control: bool = False
    #: Seconds after which a run is killed and the job is a FAILURE.
    time_limit: float = 120
    #: How often a run may ask to be tried again.
    max_retries: int = 3


JOB_TYPES = {
    job_type.name: job_type
    for job_type in (
        JobType(
            name="heavy",
            queue=HEAVY,
            params=HeavyParams,
            summary="Sleep for some seconds: the demonstration job.",
        ),
        JobType(name="add", queue=ARITHMETIC, params=Numbers, summary="Add two numbers.", quick=True),
        JobType(name="divide", queue=ARITHMETIC, params=Numbers, summary="Divide two numbers, step by step."),
        JobType(
            name="text",
            queue=ARITHMETIC,
            params=TextParams,
            summary="Write a text in capitals, repeatedly.",
            quick=True,
        ),
        JobType(
            name="export",
            queue=EXPORT,
            params=ExportParams,
            summary="Write the to-dos to a CSV file.",
            time_limit=600,
        ),
        JobType(
            name="csv_processing",
            queue=HEAVY,
            params=CsvParams,
            summary="Generate rows of numbers and describe them.",
            time_limit=180,
        ),
        JobType(
            name="email_sending",
            queue=EXPORT,
            params=EmailParams,
            summary="Send mails, none of them twice.",
            time_limit=1200,
        ),
        JobType(
            name="image_processing",
            queue=HEAVY,
            params=ImageParams,
            summary="Make images and resize them.",
            time_limit=300,
        ),
        JobType(
            name="cancel_jobs",
            queue=ARITHMETIC,
            params=CancelFilter,
            summary="Cancel all jobs that match.",
            control=True,
            time_limit=3600,
        ),
        JobType(
            name="retry_jobs",
            queue=ARITHMETIC,
            params=RetryFilter,
            summary="Run all failed or cancelled jobs that match once more, as new jobs.",
            control=True,
            time_limit=3600,
        ),
        JobType(
            name="delete_failures",
            queue=ARITHMETIC,
            params=FailureFilter,
            summary="Delete all jobs of a group of failures, for good.",
            control=True,
            time_limit=3600,
        ),
    )
}
