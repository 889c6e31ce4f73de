"""Brings up each contestant in turn, measures it, and writes the page. bench/run.sh starts this and has the help."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bench.compare import load, machine, measurements, page
from bench.compare.contestants import ALL, ROOT, Contestant
from bench.compare.measurements import FULL, QUICK, Row, Size

#: What was measured, one JSON object in each line. The page can be made of it again without measuring.
ROWS = ROOT / "bench/results/rows.jsonl"

#: What is measured in one run of a stack, in this order; the others each need a fresh stack.
EVERY_ROUND = ["memory", "idle", "loaded", "drain", "noop", "burst", "sustained"]
#: What the first round measures besides, because it does not vary much or takes long.
ONCE = [["versions", "images", "loss"]]

MEASUREMENTS: dict[str, Callable[[Contestant, Size], Row]] = {
    name: getattr(measurements, name) for names in [EVERY_ROUND, *ONCE] for name in names
}


def main() -> None:
    """Measure what was chosen, then write the page."""
    parser = argparse.ArgumentParser(prog="bench/run.sh", add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--contestants", type=lambda text: pick(text, (one.name for one in ALL)))
    parser.add_argument("--measurements", type=lambda text: pick(text, MEASUREMENTS))
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--page", action="store_true")
    chosen = parser.parse_args()
    if not chosen.page:
        size = QUICK if chosen.quick else FULL
        names = chosen.contestants or [one.name for one in ALL]
        ROWS.parent.mkdir(parents=True, exist_ok=True)
        if not chosen.add:
            ROWS.unlink(missing_ok=True)
        run([one for one in ALL if one.name in names], chosen.measurements or list(MEASUREMENTS), size, chosen.rounds)
    if not ROWS.exists():
        sys.exit("error: nothing was measured yet\n\nRun this without --page first.")
    page.write(page.read(ROWS), ROOT / "docs")
    print("\nWrote docs/benchmarks.md")


def pick(text: str, known: Iterable[str]) -> list[str]:
    """Return the names in a list with commas."""
    names, possible = text.split(","), list(known)
    for name in names:
        if name not in possible:
            raise argparse.ArgumentTypeError(f"there is no {name!r}; there are: {', '.join(possible)}")
    return names


def run(contestants: list[Contestant], wanted: list[str], size: Size, rounds: int | None) -> None:
    """Measure in rounds, so that a machine that becomes slower does so for everybody: A B C A B C."""
    load.prepare()
    keep({"measurement": "machine", **machine.describe()})
    for number in range(rounds or size.rounds):
        for contestant in contestants:
            for group in [EVERY_ROUND, *ONCE] if number == 0 else [EVERY_ROUND]:
                names = [name for name in group if name in wanted and contestant.name in runs(name)]
                if names:
                    in_one_stack(contestant, names, size, number)


def runs(name: str) -> set[str]:
    """Return the contestants that a measurement is possible with."""
    if name == "noop":
        return {"warren", "textbook"}
    return {one.name for one in ALL if one.keeps_results or name not in ("idle", "loaded", "loss")}


def in_one_stack(contestant: Contestant, names: list[str], size: Size, number: int) -> None:
    """Start a stack, measure, and remove it."""
    common = {"contestant": contestant.name, "round": number}
    try:
        keep(common | {"measurement": "start", "seconds": contestant.up()})
        for name in names:
            keep(common | {"measurement": name} | MEASUREMENTS[name](contestant, size))
    finally:
        contestant.down()


def keep(row: Row) -> None:
    """Write a row down, and show it."""
    row = {"at": datetime.now(UTC).isoformat(timespec="seconds")} | row
    with ROWS.open("a") as file:
        print(json.dumps(row), file=file)
    figures = {name: value for name, value in row.items() if name not in ("at", "contestant", "measurement", "round")}
    print(f"{time.strftime('%H:%M:%S')}  {row.get('contestant', ''):<9} {row['measurement']:<10} {short(figures)}", flush=True)


def short(value: object) -> str:
    """Return figures for the terminal."""
    if isinstance(value, dict):
        return "  ".join(f"{name} {short(inner)}" for name, inner in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
