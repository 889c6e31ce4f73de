"""The table in docs/beyond_one_machine.md: what happened when machines died."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.stack.test_postgres import Load
from tests.support.project import ROOT

PAGE = ROOT / "docs/beyond_one_machine.md"
#: The head of the table in the page, and its lines.
_TABLE = re.compile(r"(\| what happens \| accepted \|.*\n\|-.*\n)(?:\|.*\n)*")
#: How many lines a run of all tests makes.
_LINES = 6


@dataclass(frozen=True)
class Line:
    """What happened when something broke; times in seconds, 0 for what there was not."""

    what: str
    accepted: int
    refused: int = 0
    lost: int = 0
    slowest: float = 0
    longest_pause: float = 0
    back_after: float = 0

    @classmethod
    def of(cls, what: str, loads: list[Load], back_after: float) -> "Line":
        """Return what clients have seen of whom nothing was lost."""
        return cls(
            what,
            accepted=sum(len(load.accepted) for load in loads),
            refused=sum(len(load.refused) for load in loads),
            slowest=max(load.slowest for load in loads),
            longest_pause=max(load.longest_pause for load in loads),
            back_after=back_after,
        )

    def __str__(self) -> str:
        times = (f"{self.slowest:.1f}", f"{self.longest_pause:.0f}", f"{self.back_after:.0f}")
        shown = " | ".join(f"{time} s" if float(time) else "-" for time in times)
        refused = f"{self.refused} x 503" if self.refused else 0
        return f"| {self.what} | {self.accepted} | {refused} | {self.lost} | {shown} |"


def write(lines: Sequence[Line]) -> None:
    """Write the table into the page, if it is complete."""
    if len(lines) < _LINES:
        return
    table = "\n".join(map(str, lines))
    text, found = _TABLE.subn(lambda match: f"{match[1]}{table}\n", PAGE.read_text())
    assert found == 1
    PAGE.write_text(text)
