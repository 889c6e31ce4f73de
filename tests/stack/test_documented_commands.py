"""The commands of the pages do what a reader expects: they succeed, in order, in a fresh copy.

tests/support/documented.py describes how a page marks special commands, tests/support/terminal.py how they are run.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documented import extract
from tests.support.project import ROOT
from tests.support.stack import PREFIX, Stack
from tests.support.terminal import copy_project, type_all

PAGES = ["README.md", "docs/tour.md", "docs/api.md", "docs/operations.md"]


@pytest.fixture(scope="module")
def copy(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Copy the project, and remove afterwards what the pages' commands made of it."""
    root = tmp_path_factory.mktemp("documented") / "warren"
    copy_project(root)
    stack = Stack(f"{PREFIX}_documented", root, root=root)
    stack.clear()
    yield stack
    stack.remove()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES)
def test_every_command_works(page: str, copy: Stack, tmp_path: Path) -> None:
    commands = extract((ROOT / page).read_text())
    clones = any(command.text.startswith("git clone ") for command in commands)
    type_all(page, commands, copy, copy.root.parent if clones else copy.root, tmp_path)
