"""The linters, each as one test. They are started together by the first of these tests and then awaited in turn."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.project import ROOT, dockerfiles, shell_scripts

# The tools are installed beside the Python that runs the tests.
BIN = Path(sys.executable).parent

TOOLS: dict[str, list[str]] = {
    "ruff check": ["check"],
    "ruff format": ["format", "--diff"],
    "mypy": [],
    "shellcheck": [str(path) for path in shell_scripts()],
    "shfmt": ["-d", *map(str, shell_scripts())],
    "hadolint": ["--no-color", *(str(path) for path in dockerfiles())],
    "gixy": ["nginx/nginx.conf", "rabbitmq_ui/nginx.conf"],
}


def run(tool: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / tool.split()[0], *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def linters() -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    with ThreadPoolExecutor(max_workers=len(TOOLS)) as pool:
        yield {tool: pool.submit(run, tool, arguments) for tool, arguments in TOOLS.items()}


@pytest.mark.parametrize("tool", TOOLS)
def test_linter_has_no_complaint(tool: str, linters: dict[str, Future[subprocess.CompletedProcess[str]]]) -> None:
    result = linters[tool].result()
    if result.returncode != 0:
        pytest.fail(f"{tool} complains:\n\n{result.stdout}", pytrace=False)
