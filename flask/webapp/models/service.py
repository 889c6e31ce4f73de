"""Queues, health, the audit and problems."""

from typing import Literal

from pydantic import BaseModel, Field

from webapp.models.common import PageQuery, Strict


class AuditQuery(PageQuery):
    """Query of the audit."""

    who: str | None = Field(None, max_length=80, description="Only what this person or token did.")
    subject: str | None = Field(None, max_length=128, description="Only what was done to this job, person or token.")


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


class QueueDetail(QueueView):
    """One queue now, the kinds of jobs that wait in it, and who takes them."""

    rabbitmq: str = Field(description="`ok`, or why it does not answer.")
    kinds: list[str]
    workers: list[str]


class HistoryQuery(Strict):
    """Query of the history of the queues."""

    window: Literal["10m", "1h", "24h"] = Field("10m", description="How far it goes back.")


class HistoryView(BaseModel):
    """The queues over the last minutes, hour or day, oldest sample first."""

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
    machines: dict[str, str] | None = Field(
        None, description="Of three machines, by number: `ok`, or `gone` if its RabbitMQ does not run."
    )


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
