"""Draws how the autoscaler follows a burst of jobs: see ``bench/autoscale``."""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import pyplot

from bench.compare.plots import THEMES

ROOT = Path(__file__).parent.parent
URL = f"http://localhost:{os.environ.get('PORT', '8000')}"
#: Seconds between two looks, seconds of quiet before the burst and after the end, and seconds that it may last.
EVERY, QUIET, LONGEST = 2.0, 10.0, 580.0


@dataclass(frozen=True)
class Look:
    """The stack at one moment."""

    #: Seconds since the burst.
    at: float
    #: Jobs that wait or run, and workers that take jobs.
    jobs: int
    workers: int


def main() -> int:
    """Measure and draw; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench/autoscale")
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--max", type=int, default=8)
    parser.add_argument("--cooldown", type=int, default=30)
    chosen = parser.parse_args()
    command = ["ops/autoscale.sh", "--max", str(chosen.max), "--cooldown", str(chosen.cooldown)]
    autoscaler = subprocess.Popen(command, cwd=ROOT)
    try:
        looks = measure(chosen.jobs, chosen.seconds)
    finally:
        autoscaler.terminate()
        autoscaler.wait()
    folder = ROOT / "docs/operations"
    folder.mkdir(exist_ok=True)
    for theme, colours in THEMES.items():
        draw(looks, colours, folder / f"autoscale-{theme}.svg")
    ended = next(look.at for look in reversed(looks) if look.jobs)
    most = max(look.workers for look in looks)
    print(f"{chosen.jobs} jobs of {chosen.seconds:g} s took {ended:.0f} s, with up to {most} workers")
    return 0


def measure(jobs: int, seconds: float) -> list[Look]:
    """Submit the burst, and return what was recorded until all is as before, or for ten minutes."""
    time.sleep(QUIET)
    job = {"task_type": "heavy", "input_params": {"seconds": seconds}}
    ask("/flask/tasks/batch", {"jobs": [job] * jobs})
    began = time.time()
    while True:
        time.sleep(EVERY)
        looks = recorded(began)
        before = next(look for look in reversed(looks) if look.at < 0)
        busy = [look.at for look in looks if look.at > 0 and (look.jobs or look.workers != before.workers)]
        if looks[-1].at > LONGEST or (busy and looks[-1].at > busy[-1] + QUIET):
            return looks


def recorded(began: float) -> list[Look]:
    """Return what beat has recorded since shortly before the burst."""
    looks = []
    for sample in ask("/flask/queues/history")["data"]:
        heavy = sample["queues"]["heavy"]
        if sample["at"] > began - QUIET:
            looks.append(Look(sample["at"] - began, heavy["unfinished"], heavy["consumers"] or 0))
    return looks


def ask(path: str, body: Any = None) -> Any:
    """Return the JSON that the stack answers; with a body, the request is a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def draw(looks: list[Look], colours: tuple[str, str, str], file: Path) -> None:
    """Write the plot as SVG: the jobs above, the workers below, over the same time."""
    ink, grey, accent = colours
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(10, 4.6), sharex=True, layout="constrained")
    times = [each.at for each in looks]
    above.fill_between(times, [each.jobs for each in looks], color=accent, linewidth=0)
    above.set_title("jobs that wait or run", color=ink, fontsize=11, loc="left")
    below.fill_between(times, [each.workers for each in looks], step="post", color=grey, linewidth=0)
    below.set_title("workers", color=ink, fontsize=11, loc="left")
    below.set_xlabel("seconds since the jobs came", color=ink)
    for panel in (above, below):
        panel.tick_params(colors=ink, length=0)
        panel.set_ylim(bottom=0)
        panel.margins(x=0)
        panel.spines[:].set_visible(False)
        panel.grid(axis="y", color=grey, alpha=0.3, linewidth=0.8)
        panel.set_axisbelow(True)
    figure.savefig(file, transparent=True, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
