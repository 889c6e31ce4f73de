"""The demonstration job: it sleeps."""

import time

from jobs.task import JobTask, job


@job("heavy")
def heavy(task: JobTask, seconds: float) -> str:
    """Sleep for so many seconds."""
    time.sleep(seconds)
    return f"This task took {seconds:g} seconds."
