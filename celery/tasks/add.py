"""The sum of two numbers."""

from jobs.catalogue import Numbers
from jobs.numbers import plain
from jobs.task import JobTask, job


@job("add")
def add(task: JobTask, params: Numbers) -> int | float:
    """Return a + b."""
    return plain(params.a + params.b)
