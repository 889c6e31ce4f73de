"""The project's own files, for the tests that look at files."""

import os
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# Folders whose files are not part of the project. Folders with a dot at the start of their name are ignored, too.
FOREIGN = {ROOT / "db", ROOT / "secrets", ROOT / "backups", ROOT / "sbom"}

SHEBANG = re.compile(rb"#!.*\b(ba|da)?sh\b")


@cache
def project_files() -> list[Path]:
    """Return the path of every file, relative to the root. This works without Git, which may not be installed."""
    found: list[Path] = []
    for folder, subfolders, names in os.walk(ROOT):
        here = Path(folder)
        subfolders[:] = [
            name
            for name in subfolders
            if (name[0] != "." or name == ".ci") and name != "__pycache__" and here / name not in FOREIGN
        ]
        found += [(here / name).relative_to(ROOT) for name in names]
    return sorted(found)


def shell_scripts() -> list[Path]:
    """Return all shell scripts: files with the extension `.sh` or with a shell in their first line."""
    return [path for path in project_files() if path.suffix == ".sh" or SHEBANG.match(_first_line(path))]


def dockerfiles() -> list[Path]:
    """Return every Dockerfile."""
    return [path for path in project_files() if path.name.startswith("Dockerfile")]


def commands() -> list[Path]:
    """Return the shell scripts that people run. Others are sourced, or run only in containers or by CI."""
    folders = {".", "ops", "bench", "locust"}
    return [path for path in shell_scripts() if str(path.parent) in folders and SHEBANG.match(_first_line(path))]


def _first_line(path: Path) -> bytes:
    with (ROOT / path).open("rb") as file:
        return file.readline(200)
