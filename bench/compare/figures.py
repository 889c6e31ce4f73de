"""What the rows say: for each contestant and measurement the median of the rounds."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.compare.row import Row


def read(file: Path) -> "Figures":
    """Read the rows that were kept. Of a measurement that was made again with --add, the newest counts."""
    rows: list[Row] = [json.loads(line) for line in file.read_text().splitlines()]
    newest = {(row["measurement"], row.get("contestant", ""), row.get("round", 0)): row for row in rows}
    return Figures(list(newest.values()), runs=sum(row["measurement"] == "machine" for row in rows))


@dataclass(frozen=True)
class Figures:
    """All rows, and questions to them."""

    rows: list[Row]
    #: How often `bench/run.sh` was started for them.
    runs: int = 1

    def of(self, measurement: str, contestant: str = "") -> list[Row]:
        """Return the rows of a measurement, one for each round."""
        found = [row for row in self.rows if row["measurement"] == measurement]
        return [row for row in found if row.get("contestant", "") == contestant]

    def median(self, measurement: str, contestant: str, name: str) -> float | None:
        """Return the median of a figure, or nothing where it was not measured."""
        values = [row[name] for row in self.of(measurement, contestant) if name in row]
        return statistics.median(values) if values else None

    def by_role(self, measurement: str, contestant: str, name: str) -> dict[str, float]:
        """Return the medians of a figure that each container has."""
        found: dict[str, list[float]] = {}
        for row in self.of(measurement, contestant):
            for role, value in row[name].items():
                found.setdefault(role, []).append(value)
        return {role: statistics.median(values) for role, values in found.items()}

    def total(self, measurement: str, contestant: str, name: str) -> float | None:
        """Return the sum of a figure over all containers."""
        return sum(self.by_role(measurement, contestant, name).values()) or None

    def rounds(self) -> int:
        """Return how many rounds there were."""
        return 1 + max((row.get("round", 0) for row in self.rows), default=0)

    def one(self, measurement: str, contestant: str = "") -> Any:
        """Return the only row of a measurement, or nothing."""
        return next(iter(self.of(measurement, contestant)), None)
