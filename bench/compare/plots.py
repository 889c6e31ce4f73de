"""The plots of docs/benchmarks.md: bars, once for a light page and once for a dark one."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from bench.compare.contestants import ALL
from bench.compare.figures import Figures
from bench.compare.page import METRICS, Metric, shown, value

mpl.use("svg")
# Text stays text, so that the files are small; the same figures give the same bytes.
mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "warren", "font.family": "sans-serif", "font.size": 11}

#: Name of a plot -> its metrics, by their place in METRICS; each is a panel.
PLOTS = {"accepted": [0, 2], "drained": [4, 5], "end-to-end": [6, 8]}
#: Text, bars, and the bar of Warren.
THEMES = {"light": ("#1f2328", "#9aa4b0", "#0969da"), "dark": ("#e6edf3", "#57606a", "#58a6ff")}


def write(figures: Figures, folder: Path) -> None:
    """Write all plots as SVG."""
    folder.mkdir(exist_ok=True)
    for name, places in PLOTS.items():
        for theme, colours in THEMES.items():
            draw(figures, [METRICS[place] for place in places], colours, folder / f"{name}-{theme}.svg")


def draw(figures: Figures, metrics: list[Metric], colours: tuple[str, str, str], file: Path) -> None:
    """Write one plot."""
    ink, grey, accent = colours
    figure, panels = pyplot.subplots(1, len(metrics), figsize=(10, 3.2), layout="constrained")
    for panel, metric in zip(panels, metrics, strict=True):
        found = [(one, value(figures, metric, one)) for one in reversed(ALL)]
        bars = [(one, height) for one, height in found if height is not None]
        names = [one.title for one, _ in bars]
        drawn = panel.barh(
            names, [height for _, height in bars], color=[accent if one.name == "warren" else grey for one, _ in bars]
        )
        panel.bar_label(drawn, [shown(figures, metric, one) for one, _ in bars], padding=4, color=ink)
        better = "more" if metric.more_is_better else "less"
        panel.set_title(f"{metric.title} ({better} is better)", color=ink, fontsize=11, loc="left")
        panel.tick_params(colors=ink, length=0)
        panel.xaxis.set_visible(False)
        panel.margins(x=0.2)
        panel.spines[:].set_visible(False)
    figure.savefig(file, transparent=True, metadata={"Date": None})
    pyplot.close(figure)
