"""Who this worker is: one name for each start of a worker process, inherited by its pool processes."""

import uuid
from functools import cache

from jobs.settings import settings


@cache
def worker_id() -> str:
    """Return the id of this start of the worker: its container's name and a random part, which fences off the last."""
    return f"{settings().worker_name}/{uuid.uuid4().hex[:8]}"


def display_name(worker_id: str | None) -> str | None:
    """Return the name for people: that of the container."""
    return worker_id.partition("/")[0] if worker_id else None
