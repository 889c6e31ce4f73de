"""Makes docs/benchmarks.md and its plots of the rows that were measured."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read(file: Path) -> list[Row]:
    """Return the rows."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def write(rows: list[Row], docs: Path) -> None:
    """Write the page."""
