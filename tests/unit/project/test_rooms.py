"""The plan of the house in CONTRIBUTING.md, compared with what the code imports."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT, project_files

#: A row such as: | `jobs/beat` | what only the beat container runs | `jobs`, `jobs/ledger` |
ROW = re.compile(r"^\| `([\w/]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)

#: The packages are named from these folders.
TOPS = {"jobs": "", "webapp": "flask/", "tasks": "celery/"}

#: Makes the application out of all rooms of the web.
FACTORY = Path("flask/webapp/__init__.py")

ROOMS = {
    room: set(re.findall(r"`([^`]+)`", imports))
    for room, _, imports in ROW.findall((ROOT / "CONTRIBUTING.md").read_text())
}


def room_of(path: Path) -> str | None:
    """Return the room that a file is in: the innermost folder that the plan names."""
    return next((str(folder) for folder in path.parents if str(folder) in ROOMS), None)


def imported(path: Path) -> Iterator[Path]:
    """Yield the modules of the project that a module imports, wherever in it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            top, _, _ = name.partition(".")
            target = Path(TOPS.get(top, "nowhere/") + name.replace(".", "/"))
            if (ROOT / target).with_suffix(".py").is_file():
                yield target.with_suffix(".py")


MODULES = [path for path in project_files() if path.suffix == ".py" and room_of(path) is not None]


def test_the_plan_is_read() -> None:
    assert ROOMS["jobs/worker"] == {"jobs", "jobs/ledger"}
    assert {room_of(path) for path in MODULES} == ROOMS.keys()


def test_every_folder_of_the_packages_is_in_the_plan() -> None:
    folders = {
        str(path.parent)
        for path in project_files()
        if path.name == "__init__.py" and path.parts[0] in ("jobs", "flask", "celery")
    }
    assert folders == ROOMS.keys()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_the_plan_allows_it(room: str) -> None:
    used = {
        (str(path), other)
        for path in MODULES
        if room_of(path) == room and path != FACTORY
        for target in imported(path)
        if (other := room_of(target)) not in (room, None)
    }
    assert [(path, other) for path, other in sorted(used) if other not in ROOMS[room]] == []
    assert ROOMS[room] - {other for _, other in used} == set(), "the plan allows what nobody needs"
