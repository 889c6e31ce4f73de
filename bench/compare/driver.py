"""Brings up each contestant in turn, measures it, and writes the page. bench/run.sh starts this and has the help."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bench.compare import (
    accept,
    at_rest,
    budget,
    build,
    drain,
    figures,
    latency,
    load,
    loss,
    machine,
    page,
    plots,
    tables,
    workers,
)
from bench.compare.contestants import ALL, ROOT, Contestant
from bench.compare.row import FULL, QUICK, Row, Size

#: What was measured, one JSON object in each line. The page can be made of it again without measuring.
ROWS = ROOT / "bench/results/rows.jsonl"

Measurement = Callable[[Contestant, Size], Row]

#: What every round measures, in one run of a stack and in this order.
EVERY_ROUND: dict[str, Measurement] = {
    "memory": at_rest.memory,
    "idle": latency.idle,
    "loaded": latency.loaded,
    "drain": drain.drain,
    "noop": accept.noop,
    "burst": accept.burst,
    "sustained": accept.sustained,
}
#: What only the first round measures, because it hardly varies or takes long. Each of these has a stack of its own.
ONCE: list[dict[str, Measurement]] = [
    {"versions": at_rest.versions, "images": at_rest.images, "loss": loss.loss},
    {"lists": tables.lists, "export": tables.export},
    {"workers": workers.workers},
    {"budget": budget.budget},
    {"build": build.build},
]
#: What --quick leaves out.
SLOW = {"lists", "export", "workers", "budget", "build"}
ALL_MEASUREMENTS = [name for group in [EVERY_ROUND, *ONCE] for name in group]


def main() -> None:
    """Measure what was chosen, then write the page."""
    parser = argparse.ArgumentParser(prog="bench/run.sh", add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--contestants", type=lambda text: pick(text, (one.name for one in ALL)))
    parser.add_argument("--measurements", type=lambda text: pick(text, ALL_MEASUREMENTS))
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--page", action="store_true")
    chosen = parser.parse_args()
    if not chosen.page:
        size = QUICK if chosen.quick else FULL
        contestants = [one for one in ALL if one.name in (chosen.contestants or [one.name])]
        usual = [name for name in ALL_MEASUREMENTS if name not in SLOW or not chosen.quick]
        ROWS.parent.mkdir(parents=True, exist_ok=True)
        if not chosen.add:
            ROWS.unlink(missing_ok=True)
        keep({"measurement": "machine", "quick": chosen.quick, **machine.describe()})
        run(contestants, chosen.measurements or usual, size, chosen.rounds or size.rounds)
    if not ROWS.exists():
        sys.exit("error: nothing was measured yet\n\nRun this without --page first.")
    found = figures.read(ROWS)
    (ROOT / "docs/benchmarks.md").write_text(page.text(found))
    plots.write(found, ROOT / "docs/benchmarks")
    print("\nWrote docs/benchmarks.md")


def pick(text: str, known: Iterable[str]) -> list[str]:
    """Return the names in a list with commas."""
    names, possible = text.split(","), list(known)
    for name in names:
        if name not in possible:
            raise argparse.ArgumentTypeError(f"there is no {name!r}; there are: {', '.join(possible)}")
    return names


def run(contestants: list[Contestant], wanted: list[str], size: Size, rounds: int) -> None:
    """Measure in rounds, so that a machine that becomes slower does so for everybody: A B C A B C."""
    load.prepare()
    for number in range(rounds):
        for contestant in contestants:
            for group in [EVERY_ROUND, *ONCE] if number == 0 else [EVERY_ROUND]:
                chosen = {name: group[name] for name in group if name in wanted and possible(name, contestant)}
                if chosen:
                    in_one_stack(contestant, chosen, size, number)


def possible(name: str, contestant: Contestant) -> bool:
    """Tell whether a contestant has what a measurement needs: a route, or results."""
    match name:
        case "export":
            return contestant.name == "warren"
        case "noop" | "lists" | "workers" | "budget":
            return contestant.name in ("warren", "textbook")
        case "idle" | "loaded" | "loss":
            return contestant.keeps_results
    return True


def in_one_stack(contestant: Contestant, chosen: dict[str, Measurement], size: Size, number: int) -> None:
    """Start a stack, measure, and remove it."""
    common = {"contestant": contestant.name, "round": number}
    try:
        keep(common | {"measurement": "start", "seconds": contestant.up()})
        for name, measure in chosen.items():
            keep(common | {"measurement": name} | measure(contestant, size))
    finally:
        contestant.down()


def keep(row: Row) -> None:
    """Write a row down, and show it."""
    row = {"at": datetime.now(UTC).isoformat(timespec="seconds")} | row
    with ROWS.open("a") as file:
        print(json.dumps(row), file=file)
    figures = {name: value for name, value in row.items() if name not in ("at", "contestant", "measurement", "round")}
    print(
        f"{time.strftime('%H:%M:%S')}  {row.get('contestant', ''):<9} {row['measurement']:<10} {short(figures)}",
        flush=True,
    )


def short(value: object) -> str:
    """Return figures for the terminal."""
    if isinstance(value, dict):
        return "  ".join(f"{name} {short(inner)}" for name, inner in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
