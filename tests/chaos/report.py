"""The report: a line for each fault, as a table for the terminal and for docs/reliability.md."""

import os
from collections.abc import Iterable
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


def cells(run: Run) -> list[str]:
    """Return what the table says of a run."""
    load, verdict = run.load, run.verdict
    refused = [f"{count} x {status}" for status, count in sorted(load.refused.items())]
    if load.no_answer:
        refused.append(f"{load.no_answer.total()} x no answer")
    return [
        run.fault.text + (f", {run.lasted:g} s" if run.lasted else ""),
        str(run.strikes),
        str(load.attempted),
        str(len(load.accepted)),
        ", ".join(refused) or "0",
        str(len(verdict.lost)),
        str(len(verdict.in_the_middle)),
        str(len(verdict.wrong)),
        str(verdict.mails),
        str(verdict.mails_twice),
        "?" if run.subject != "Warren" else str(verdict.mails_uncertain),
        "?" if verdict.run_again is None else str(verdict.run_again),
        f"{load.slowest:.1f} s",
        f"{run.recovered:.0f} s",
    ]


def table(runs: Iterable[Run]) -> str:
    """Return one table for each that was tested, as Markdown."""
    by_subject: dict[str, list[Run]] = {}
    for run in runs:
        by_subject.setdefault(run.subject, []).append(run)
    rule = ["---"] + ["--:"] * (len(HEAD) - 1)
    return "\n".join(
        f"{subject}:\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in [list(HEAD), rule, *map(cells, of_it)])
        for subject, of_it in by_subject.items()
    )


def total(runs: list[Run]) -> str:
    """Return the sum of all runs of Warren in a sentence."""
    ours = [run for run in runs if run.subject == "Warren"]
    accepted = sum(len(run.load.accepted) for run in ours)
    lost = sum(len(run.verdict.lost) for run in ours)
    middle = sum(len(run.verdict.in_the_middle) for run in ours)
    mails = sum(run.verdict.mails for run in ours)
    twice = sum(run.verdict.mails_twice for run in ours)
    slowest = max((run.load.slowest for run in ours), default=0.0)
    strikes = sum(run.strikes for run in ours)
    return (
        f"Warren was struck {strikes} times by {len(ours)} kinds of faults, and answered 202 to {accepted:,} jobs. Of "
        f"these {lost} were lost and {middle} left in the middle. {mails:,} mails were sent, {twice} of them twice. "
        f"The slowest answer took {slowest:.1f} s."
    )


def write(path: Path, runs: list[Run], plan: Plan) -> None:
    """Write docs/reliability.md."""
    template = Template((Path(__file__).parent / "reliability.md.template").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    text = template.substitute(
        total=total(runs),
        table=table(runs),
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
