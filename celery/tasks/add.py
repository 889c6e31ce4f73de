"""The sum of two numbers."""

from jobs.numbers import plain
from jobs.task import JobTask, job


@job("add")
def add(task: JobTask, a: float, b: float) -> int | float:
    """Return a + b."""
    return plain(a + b)
