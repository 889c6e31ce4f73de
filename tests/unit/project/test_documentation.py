"""What the documentation must not forget: every setting, every script; and every script explains itself."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from jobs import __version__
from tests.support.project import ROOT, commands

README = ROOT / "README.md"

# A line such as: PORT=${PORT:-8000}
SETTING = re.compile(r"^(?P<name>[A-Z_]+)=\$\{(?P=name):-(?P<default>.*?)\}(?=\s|$)", re.MULTILINE)

# A row such as: | `PORT` | `8000` | the only published port |
ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`(.+?)`|empty) \|", re.MULTILINE)

SETTINGS = {
    match["name"]: match["default"].removeprefix("$WARREN_DIR/")
    for match in SETTING.finditer((ROOT / "settings.sh").read_text())
    if match["name"] != "WARREN_DIR"  # not a choice: where the scripts themselves are
}


def test_settings_are_found() -> None:
    assert SETTINGS["PORT"] == "8000"
    assert SETTINGS["DB_DIR"] == "db"


def test_the_changelog_begins_with_this_version() -> None:
    newest = re.search(r"^## \[(.+?)\] - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__


def test_table_of_settings_gives_each_with_its_default() -> None:
    assert {name: default or "" for name, default in ROW.findall(README.read_text())} == SETTINGS


def test_each_script_is_mentioned() -> None:
    text = "".join(page.read_text() for page in [README, *(ROOT / "docs").glob("*.md")])
    assert [script for script in commands() if str(script) not in text] == []


@cache
def usage(script: Path) -> str:
    result = subprocess.run(
        [ROOT / script, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize("script", commands(), ids=str)
def test_script_explains_itself(script: Path) -> None:
    assert usage(script).startswith("Usage: ")


# Such as: `RESULT_EXPIRES=86400 ./build.sh`
IN_A_SENTENCE = re.compile(r"`((?:[A-Z_]+=\S* )*)((?:\./|ops/|bench/|locust/)[\w./]+)((?: [^`\n]+)?)`")


# What stands in blocks is run (see tests/support/documented.py).
@pytest.mark.parametrize("page", [README, *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_commands_in_sentences_have_what_they_name(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    wrong = []
    for settings, script, arguments in IN_A_SENTENCE.findall(text):
        if not settings and not arguments:
            continue  # only the name of a file or folder
        if Path(script) not in commands():
            wrong.append(script)
            continue
        names = re.findall(r"[A-Z_]+(?==)", settings)
        wrong += [name for name in names if name not in {*SETTINGS, "WARREN_TOKEN"}]
        options = re.findall(r" (--[a-z-]+)", arguments.partition(" -- ")[0])
        wrong += [f"{script} {option}" for option in options if option not in f"{usage(Path(script))} --help"]
    assert wrong == []


# --- pictures ---------------------------------------------------------------------------------------------------------

PICTURE = re.compile(r"docs/images/[\w-]+\.(?:png|webp)")


def test_each_picture_is_shown_and_there_and_small() -> None:
    shown = set(PICTURE.findall(README.read_text()))
    pictures = {str(path.relative_to(ROOT)): path.stat().st_size for path in (ROOT / "docs/images").iterdir()}
    assert shown == pictures.keys()
    assert pictures.pop("docs/images/recording.webp") < 1_500_000
    assert max(pictures.values()) < 150_000
    assert sum(pictures.values()) < 700_000
