"""Submitting jobs."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Union, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, create_model
from pydantic_core import PydanticCustomError

from jobs.catalogue import JOB_TYPES, JobType, Moment
from webapp.models.common import PriorityWord, Strict

#: Jobs of a batch.
LARGEST_BATCH = 1000
#: What ``run_at`` may be. A time that is over means now; one that is very far away is a mistake.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
FURTHEST = timedelta(days=3653)


def _within_reach(moment: datetime) -> datetime:
    if not EARLIEST <= moment <= datetime.now(UTC) + FURTHEST:
        raise PydanticCustomError("out_of_reach", "Input should be a time from 1970 to ten years from now")
    return moment


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
            PriorityWord,
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
