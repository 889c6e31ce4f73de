"""The catalogue: every kind of job, its parameters and its limits.

A new kind of job is one entry here and one module of the same name in ``celery/tasks/``. Validation, routing and limits
follow from the entry.
"""

import random
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

HEAVY = "heavy"
EXPORT = "export"
ARITHMETIC = "arithmetic"

#: The queues that exist on the broker; ``rabbitmq/definitions.json`` declares the same three.
QUEUES = (HEAVY, EXPORT, ARITHMETIC)


class Params(BaseModel):
    """Parameters of a job: unknown names are errors, so that a typing mistake is told and not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class HeavyParams(Params):
    """Parameters of ``heavy``."""

    seconds: float = Field(
        default_factory=lambda: random.randint(1, 3),
        ge=0,
        le=60,
        description="How long to sleep; a random 1 to 3 when left out.",
        examples=[2],
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
    )
}
