"""The quotient of two numbers, slowly enough to be watched."""

import math
import time

from jobs.catalogue import Numbers
from jobs.errors import JobFailed
from jobs.numbers import plain
from jobs.task import JobTask, job

STEPS = ("Reading the numbers", "Checking the divisor", "Dividing", "Writing the quotient")
#: Seconds that each step takes.
STEP_TIME = 0.25


@job("divide")
def divide(task: JobTask, params: Numbers) -> int | float:
    """Return a / b."""
    for number, step in enumerate(STEPS):
        task.report(100 * number / len(STEPS), f"{step} ...")
        time.sleep(STEP_TIME)
    return quotient(params.a, params.b)


def quotient(a: float, b: float) -> int | float:
    """Return a / b. Raises :class:`JobFailed` where there is none, or none that a float can hold."""
    if b == 0:
        raise JobFailed("Division by zero: b must not be 0.")
    found = a / b
    if not math.isfinite(found):
        raise JobFailed(f"The quotient of {a:g} and {b:g} is too large.")
    return plain(found)
