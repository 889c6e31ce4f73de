"""Recurring jobs."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from jobs import slots
from webapp.models.common import Strict, TaskType, Timestamp


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
