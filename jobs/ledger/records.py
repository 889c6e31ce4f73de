"""A job on its way into the ledger, and on its way out to the broker."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

#: Seconds that the accepting process has for publishing a job before the beat container sees to it.
RELAY_GRACE = 5.0


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job as it is accepted."""

    type: str
    queue: str
    params: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: float = field(default_factory=time.time)
    #: Not to be started before; ``None`` means now.
    run_at: float | None = None

    @property
    def due_at(self) -> float:
        """When the beat container publishes it, if nobody did before."""
        return self.run_at if self.run_at is not None else self.created_at + RELAY_GRACE


@dataclass(frozen=True, kw_only=True)
class DueJob:
    """What must be known of a job to publish it."""

    id: str
    type: str
    queue: str
    params: dict[str, Any]
    due_at: float
    #: Retries that the task has asked for so far.
    retries: int = 0
