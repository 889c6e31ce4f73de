"""The demonstration job: it sleeps."""

import time

from jobs.catalogue import HeavyParams
from jobs.task import JobTask, job


@job("heavy")
def heavy(task: JobTask, params: HeavyParams) -> str:
    """Sleep for so many seconds."""
    time.sleep(params.seconds)
    return f"This task took {params.seconds:g} seconds."
