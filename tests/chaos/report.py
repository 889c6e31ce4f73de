"""The report: a line for each fault, as a table for the terminal and for docs/reliability.md."""

from collections.abc import Iterable

from tests.chaos.drive import Run

HEAD = (
    "fault",
    "strikes",
    "requests",
    "202",
    "refused",
    "lost",
    "in the middle",
    "wrong end",
    "mails",
    "twice",
    "uncertain",
    "run again",
    "slowest answer",
    "recovered after",
)


def cells(run: Run) -> list[str]:
    """Return what the table says of a run."""
    load, verdict = run.load, run.verdict
    refused = ", ".join(
        [f"{count} x {status}" for status, count in sorted(load.refused.items())]
        + [f"{count} x no answer" for count in [load.no_answer.total()] if count]
    )
    return [
        run.fault.text + (f", {run.fault.lasts:g} s" if run.fault.lasts else ""),
        str(run.strikes),
        str(load.attempted),
        str(len(load.accepted)),
        refused or "0",
        str(len(verdict.lost)),
        str(len(verdict.in_the_middle)),
        str(len(verdict.wrong)),
        str(verdict.mails),
        str(verdict.mails_twice),
        str(verdict.mails_uncertain),
        "?" if verdict.run_again is None else str(verdict.run_again),
        f"{load.slowest:.1f} s",
        f"{run.recovered:.0f} s",
    ]


def table(runs: Iterable[Run]) -> str:
    """Return the table as Markdown."""
    rows = [list(HEAD), ["---"] + ["--:"] * (len(HEAD) - 1), *map(cells, runs)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
