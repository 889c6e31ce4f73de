"""Rows of numbers, generated over some seconds, and what can be said of them."""

import random
import time
from dataclasses import dataclass
from typing import Any

from jobs.catalogue import CsvParams
from jobs.numbers import plain
from jobs.task import JobTask, job

#: Slices that the time is cut into; progress is told after each.
SLICES = 20


@job("csv_processing")
def csv_processing(task: JobTask, params: CsvParams) -> dict[str, Any]:
    """Return sum, average, min, max and row count of the rows; the same job generates the same rows again."""
    numbers = random.Random(task.request.id)
    summary = Summary()
    started = time.monotonic()
    for number in range(1, SLICES + 1):
        while summary.row_count < params.num_rows * number // SLICES:
            summary.add(numbers.randint(0, 100_000))
        # By the clock, so that what the work itself takes does not add up.
        time.sleep(max(0.0, started + params.processing_time * number / SLICES - time.monotonic()))
        task.report(100 * number / SLICES, f"{summary.row_count} of {params.num_rows} rows")
    return summary.describe()


@dataclass
class Summary:
    """What is kept of the rows: not the rows. Their values are hundredths, which add up without rounding errors."""

    row_count: int = 0
    total: int = 0
    least: int | None = None
    most: int | None = None

    def add(self, hundredths: int) -> None:
        """Take one row in."""
        self.row_count += 1
        self.total += hundredths
        self.least = hundredths if self.least is None else min(self.least, hundredths)
        self.most = hundredths if self.most is None else max(self.most, hundredths)

    def describe(self) -> dict[str, Any]:
        """Return the figures of at least one row; the average is rounded to four places."""
        if self.least is None or self.most is None:
            raise ValueError("no rows")
        return {
            "sum": plain(self.total / 100),
            "average": plain(round(self.total / 100 / self.row_count, 4)),
            "min": plain(self.least / 100),
            "max": plain(self.most / 100),
            "row_count": self.row_count,
        }
