"""The report: a table with one line for each fault, for the terminal and for docs/reliability.md."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from tests.chaos.drive import CLIENTS, PATIENCE, RATE, Plan, Run
from tests.chaos.faults import FAULTS
from tests.chaos.load import MIX

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


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the report says about one run. It can be stored as JSON, so that a long run can be made in parts."""

    subject: str
    fault: str
    text: str
    strikes: int
    attempted: int
    accepted: int
    refused: str
    lost: int
    in_the_middle: int
    wrong: int
    mails: int
    mails_twice: int
    mails_uncertain: int | None
    run_again: int | None
    slowest: float
    recovered: float


def line_of(run: Run) -> Line:
    """Return the line of a run."""
    load, verdict = run.load, run.verdict
    refused = [f"{count} x {status}" for status, count in sorted(load.refused.items())]
    if load.no_answer:
        refused.append(f"{load.no_answer.total()} x no answer")
    return Line(
        subject=run.subject,
        fault=run.fault.name,
        text=run.fault.text + (f", {run.lasted:g} s" if run.lasted else ""),
        strikes=run.strikes,
        attempted=load.attempted,
        accepted=len(load.accepted),
        refused=", ".join(refused) or "0",
        lost=len(verdict.lost),
        in_the_middle=len(verdict.in_the_middle),
        wrong=len(verdict.wrong),
        mails=verdict.mails,
        mails_twice=verdict.mails_twice,
        mails_uncertain=verdict.mails_uncertain if run.subject == "Warren" else None,
        run_again=verdict.run_again,
        slowest=load.slowest,
        recovered=run.recovered,
    )


def cells(line: Line) -> list[str]:
    """Return the cells of a line in the table."""
    return [
        line.text,
        str(line.strikes),
        str(line.attempted),
        str(line.accepted),
        line.refused,
        str(line.lost),
        str(line.in_the_middle),
        str(line.wrong),
        str(line.mails),
        str(line.mails_twice),
        "?" if line.mails_uncertain is None else str(line.mails_uncertain),
        "?" if line.run_again is None else str(line.run_again),
        f"{line.slowest:.1f} s",
        f"{line.recovered:.0f} s",
    ]


def table(lines: Iterable[Line]) -> str:
    """Return one Markdown table for each subject that was tested."""
    by_subject: dict[str, list[Line]] = {}
    for each in lines:
        by_subject.setdefault(each.subject, []).append(each)
    rule = ["---"] + ["--:"] * (len(HEAD) - 1)
    return "\n".join(
        f"{subject}:\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in [list(HEAD), rule, *map(cells, of_it)])
        for subject, of_it in by_subject.items()
    )


def total(lines: Iterable[Line]) -> str:
    """Return a few sentences with the sums of all runs of Warren."""
    ours = [each for each in lines if each.subject == "Warren"]
    strikes = sum(each.strikes for each in ours)
    accepted = sum(each.accepted for each in ours)
    lost = sum(each.lost for each in ours)
    middle = sum(each.in_the_middle for each in ours)
    mails = sum(each.mails for each in ours)
    twice = sum(each.mails_twice for each in ours)
    slowest = max((each.slowest for each in ours), default=0.0)
    return (
        f"Warren was struck {strikes} times by {len(ours)} kinds of faults, and answered 202 to {accepted:,} jobs. Of "
        f"these {lost} were lost and {middle} left in the middle. {mails:,} mails were sent, {twice} of them twice. "
        f"The slowest answer took {slowest:.1f} s."
    )


def write(path: Path, lines: list[Line], plan: Plan) -> None:
    """Write docs/reliability.md."""
    template = Template((Path(__file__).parent / "reliability.md.template").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    text = template.substitute(
        total=total(lines),
        table=table(lines),
        jobs=plan.jobs,
        seed=plan.seed,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=os.cpu_count(),
        memory=f"{memory:.0f}",
        clients=CLIENTS,
        rate=RATE,
        mix=", ".join(f"{share} % `{kind}`" for kind, share in MIX.items()),
        patience=f"{PATIENCE:.0f}",
        not_run="".join(f"- {fault.text}: {fault.missing()}.\n" for fault in FAULTS.values() if fault.missing()),
    )
    path.write_text(text)
