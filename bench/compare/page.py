"""Makes docs/benchmarks.md of the figures. The text is in page.md.jinja, beside this."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from bench.compare.contestants import ALL, Contestant
from bench.compare.figures import Figures
from bench.compare.latency import BACKGROUND_RATE
from bench.compare.row import PATIENCE

HERE = Path(__file__).parent
ROLES = {
    "nginx": "Nginx",
    "flask": "web",
    "rabbitmq": "RabbitMQ",
    "redis": "Redis",
    "worker": "worker",
    "beat": "beat",
}


@dataclass(frozen=True)
class Metric:
    """One figure of a contestant that can be compared."""

    title: str
    measurement: str
    name: str
    unit: str
    more_is_better: bool


METRICS = [
    Metric("accepted/s, worker stopped", "burst", "per_second", "/s", True),
    Metric("p99 of accepting, worker stopped", "burst", "p99", "ms", False),
    Metric("accepted/s, worker running", "sustained", "per_second", "/s", True),
    Metric("p99 of accepting, worker running", "sustained", "p99", "ms", False),
    Metric("finished/s meanwhile", "sustained", "finished_per_second", "/s", True),
    Metric("drained/s", "drain", "per_second", "/s", True),
    Metric("end to end, idle, p50", "idle", "p50", "ms", False),
    Metric("end to end, idle, p99", "idle", "p99", "ms", False),
    Metric("end to end under load, p50", "loaded", "p50", "ms", False),
    Metric("end to end under load, p99", "loaded", "p99", "ms", False),
    Metric("idle memory", "memory", "bytes", "MB", False),
]


def text(figures: Figures) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "ms": milliseconds, "mb": megabytes}
    measured = [one for one in ALL if figures.of("start", one.name)]
    return environment.get_template("page.md.jinja").render(
        figures=figures,
        contestants=measured,
        metrics=METRICS,
        roles=ROLES,
        shown=lambda metric, contestant: shown(figures, metric, contestant),
        best=lambda metric: best(figures, metric, measured),
        ahead=ahead(figures, measured),
        lost=[(one, row) for one in measured if (row := figures.one("loss", one.name))],
        table=lambda title, measurement, name, unit: table(figures, measured, title, measurement, name, unit),
        budget=lambda title, measurement, container: budget(figures, measured, title, measurement, container),
        background_rate=BACKGROUND_RATE,
        patience=PATIENCE,
    )


def value(figures: Figures, metric: Metric, contestant: Contestant) -> float | None:
    """Return a contestant's figure."""
    if metric.name == "bytes":
        return figures.total(metric.measurement, contestant.name, metric.name)
    return figures.median(metric.measurement, contestant.name, metric.name)


def shown(figures: Figures, metric: Metric, contestant: Contestant) -> str:
    """Return it with its unit."""
    found = value(figures, metric, contestant)
    return {"/s": number, "ms": milliseconds, "MB": megabytes}[metric.unit](found)


def best(figures: Figures, metric: Metric, contestants: list[Contestant]) -> Contestant | None:
    """Return who has the best figure."""
    found = {one.name: value(figures, metric, one) for one in contestants}
    good = [one for one in contestants if found[one.name] is not None]
    choose = max if metric.more_is_better else min
    return choose(good, key=lambda one: found[one.name] or 0.0) if good else None


def ahead(figures: Figures, contestants: list[Contestant]) -> list[tuple[Contestant, list[str]]]:
    """Return who is better than Warren, and in what and by how much."""
    warren = ALL[0]
    found = []
    for other in contestants:
        better = []
        for metric in METRICS:
            ours, theirs = value(figures, metric, warren), value(figures, metric, other)
            if ours and theirs:
                factor = theirs / ours if metric.more_is_better else ours / theirs
                if factor > 1.05:
                    better.append(f"{metric.title} ({factor:.1f} x)")
        if better:
            found.append((other, better))
    return found


def table(figures: Figures, contestants: list[Contestant], title: str, measurement: str, name: str, unit: float) -> str:
    """Return a table with a column for each kind of container that any contestant has."""
    found = [(one, figures.by_role(measurement, one.name, name)) for one in contestants]
    columns = [role for role in ROLES if any(role in values for _, values in found)]
    lines = [
        f"| {title} | " + " | ".join(ROLES[role] for role in columns) + " | together |",
        "|---|" + "--:|" * (len(columns) + 1),
    ]
    for one, values in found:
        if values:
            cells = [f"{values[role] / unit:,.0f}" if role in values else "" for role in columns]
            lines.append(f"| {one.title} | " + " | ".join(cells) + f" | {sum(values.values()) / unit:,.0f} |")
    return "\n".join(lines) + "\n"


def budget(figures: Figures, contestants: list[Contestant], title: str, measurement: str, container: str) -> str:
    """Return a table of the processor time of a job, in which one container is divided into its parts."""
    shares = {one.name: row[container] for one in contestants if (row := figures.one("budget", one.name))}
    found = [(one, figures.by_role(measurement, one.name, "microseconds")) for one in contestants if one.name in shares]
    parts = sorted(
        {part for one in shares.values() for part in one}, key=lambda part: -shares[found[0][0].name].get(part, 0)
    )
    lines = [f"| {title} | " + " | ".join(one.title for one, _ in found) + " |", "|---|" + "--:|" * len(found)]

    def line(text: str, cells: list[float]) -> None:
        lines.append(f"| {text} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |")

    for role, text in ROLES.items():
        if any(role in spent for _, spent in found):
            line(text, [spent.get(role, 0) for _, spent in found])
        if role == container:
            for part in parts:
                line(f"... {part}", [spent.get(role, 0) * shares[one.name].get(part, 0) for one, spent in found])
    line("together", [sum(spent.values()) for _, spent in found])
    return "\n".join(lines) + "\n"


# --- how figures are written ------------------------------------------------------------------------------------------


def number(value: Any) -> str:
    """Return a number with three figures: 1,650 and 47.5 and 0.163."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def milliseconds(seconds: float | None) -> str:
    """Return seconds as milliseconds."""
    return "" if seconds is None else f"{number(seconds * 1e3)} ms"


def megabytes(count: float | None) -> str:
    """Return bytes as megabytes."""
    return "" if count is None else f"{count / 1e6:,.0f} MB"
