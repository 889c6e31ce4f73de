"""The page of bench/run.sh, made of the rows of a real run."""

import json
from pathlib import Path

import pytest

from bench.compare import budget, figures, page
from bench.compare.contestants import ALL

ROWS = Path(__file__).with_name("benchmark_rows.jsonl")


@pytest.fixture
def found() -> figures.Figures:
    return figures.read(ROWS)


def test_every_contestant_is_in_every_table(found: figures.Figures) -> None:
    text = page.text(found)
    for contestant in ALL:
        lines = [line for line in text.splitlines() if line.startswith(f"| {contestant.title} |")]
        assert len(lines) >= 9, contestant.title


def test_a_figure_is_the_median_of_the_rounds(tmp_path: Path) -> None:
    rows = [
        {"measurement": "drain", "contestant": "rq", "round": number, "per_second": value}
        for number, value in enumerate([30, 10, 20])
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert figures.read(file).median("drain", "rq", "per_second") == 20


def test_what_is_measured_again_replaces_the_older_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f'{{"measurement": "drain", "contestant": "rq", "per_second": {n}}}\n' for n in (1, 2)))
    assert figures.read(file).median("drain", "rq", "per_second") == 2


def test_the_page_says_that_figures_are_from_several_runs(tmp_path: Path) -> None:
    machine = next(line for line in ROWS.read_text().splitlines() if '"machine"' in line)
    file = tmp_path / "rows.jsonl"
    file.write_text(ROWS.read_text())
    assert "--add" not in page.text(figures.read(file))
    file.write_text(ROWS.read_text() + machine + "\n")
    assert "from 2 runs, one after the other (`--add`)" in page.text(figures.read(file))


def test_the_page_says_where_warren_is_not_ahead(found: figures.Figures) -> None:
    others = page.ahead(found, ALL)
    text = page.text(found)
    assert others
    for contestant, _ in others:
        assert f"- **{contestant.title}**: " in text


def test_a_part_of_the_measurements_makes_a_page_too(found: figures.Figures) -> None:
    part = [row for row in found.rows if row["measurement"] in ("machine", "start", "drain")]
    assert "drained" in page.text(figures.Figures(part))


@pytest.mark.parametrize(
    ("value", "text"), [(1653.2, "1,650"), (47.46, "47.5"), (0.1634, "0.163"), (0, "0"), (999.9, "1,000"), (None, "")]
)
def test_numbers_have_three_figures(value: float | None, text: str) -> None:
    assert page.number(value) == text


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        ("run (/venv/lib/gunicorn/app.py:1);dispatch (/venv/lib/flask/app.py:2);dumps (/usr/lib/json/a.py:3)", "Flask"),
        ("main (/app/webapp/wsgi.py:1);send (/venv/lib/kombu/messaging.py:2)", "messages"),
        ("_bootstrap (/usr/lib/python3.13/threading.py:1)", budget.OTHER),
    ],
)
def test_a_sample_belongs_to_the_innermost_part(stack: str, part: str) -> None:
    assert budget.part_of(stack) == part
