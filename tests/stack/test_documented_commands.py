"""The commands of README.md and docs/tour.md do what a reader expects: they succeed, in order, in a fresh copy.

tests/documented.py describes how a page marks commands that are special. The copy runs as a stack of its own: where a
page says port 8000 and `my_`, the commands are run with that stack's port and prefix. Beyond that:

- `git clone ...` is not run, since it would fetch what is published, not what is tested: the copy is already there;
- `./test.sh ...` would run itself, so only its --help is asked;
- `sudo` is left out.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documented import Command, Rule, extract
from tests.project import ROOT, project_files
from tests.stack.support import Stack, wait_until

PAGES = [page for page in ("README.md", "docs/tour.md") if (ROOT / page).exists()]

COMMAND_TIMEOUT = 600
UNTIL_TIMEOUT = 120  # long enough for a Python environment to be installed first
INTERRUPT_TIMEOUT = 20

# Each command gets a shell of its own, which starts where the one before ended: folder, variables, functions.
RESTORE = """
source "$SHELL_STATE"
"""
SAVE = """
trap '{
    declare -p | grep -vE "^declare -([^ ]*r|[^ ]* BASH)"
    declare -f
    printf "cd %q\\n" "$PWD"
} >"$SHELL_STATE"' EXIT
"""


class Terminal:
    """Where a reader types the commands of one page."""

    def __init__(self, stack: Stack, folder: Path, logs: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.logs = logs
        self.state = logs / "shell_state"
        self.state.touch()
        self.background: list[tuple[Command, subprocess.Popen[bytes], Path]] = []

    def type(self, command: Command) -> None:
        """Do with a command what its rule says; fail when it does not work."""
        print(f"line {command.line}: {command.text}", flush=True)
        match command.rule:
            case Rule.RUN:
                process, log = self._start(command, RESTORE + SAVE)
                try:
                    code = process.wait(COMMAND_TIMEOUT)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise AssertionError(f"still running after {COMMAND_TIMEOUT} s:\n{read(log)}") from None
                assert code == 0, f"ended with {code}:\n{read(log)}"
            case Rule.UNTIL:
                process, log = self._start(command, RESTORE)
                self._await_output(command, process, log)
                self._interrupt(process, log)
            case Rule.BACKGROUND:
                process, log = self._start(command, RESTORE)
                self.background.append((command, process, log))
                self._await_output(command, process, log)
            case Rule.SKIP:
                pass

    def close(self) -> None:
        """Press Ctrl-C wherever something still runs."""
        for _command, process, log in reversed(self.background):
            self._interrupt(process, log)

    def _start(self, command: Command, prologue: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.logs / f"line{command.line}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", prologue + rewrite(command.text, self.stack)],
                cwd=self.folder,
                env=os.environ
                | {"PREFIX": self.stack.prefix, "PORT": str(self.stack.port)}
                | {"SHELL_STATE": str(self.state), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group of its own, to which Ctrl-C can be sent
            )
        return process, log

    def _await_output(self, command: Command, process: subprocess.Popen[bytes], log: Path) -> None:
        """Wait until the output matches; when it does not, or the command has ended, nothing of it stays behind."""
        try:
            wait_until(
                lambda: re.search(command.pattern, read(log)) or process.poll() is not None,
                UNTIL_TIMEOUT,
                f"its output matches {command.pattern}",
            )
        except AssertionError as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{error}\n{read(log)}") from None
        assert re.search(command.pattern, read(log)), f"ended without a match of {command.pattern}:\n{read(log)}"

    def _interrupt(self, process: subprocess.Popen[bytes], log: Path) -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(INTERRUPT_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"Ctrl-C did not end it:\n{read(log)}") from None


def rewrite(text: str, stack: Stack) -> str:
    """Make a documented command one that speaks of the test's stack."""
    text = re.sub(r"\b(localhost|127\.0\.0\.1):8000\b", rf"\1:{stack.port}", text)
    text = re.sub(r"\bmy_(?=\w)", f"{stack.prefix}_", text)
    text = re.sub(r"^git clone .*", "true", text)
    text = re.sub(r"^sudo ", "", text)
    return re.sub(r"^\./test\.sh\b.*", "./test.sh --help", text)


def read(log: Path) -> str:
    return log.read_text(errors="replace")


@pytest.fixture(scope="module")
def copy(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Copy the project to where `git clone` would put it, and remove what the pages' commands made of it."""
    root = tmp_path_factory.mktemp("documented") / "warren"
    for path in [*project_files(), Path("db/.gitkeep")]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, root / path)
    stack = Stack("warren_documented", root, root=root)
    stack.run("./stop.sh", "--purge")
    yield stack
    stack.remove()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES)
def test_every_command_works(page: str, copy: Stack, tmp_path: Path) -> None:
    commands = extract((ROOT / page).read_text())
    clones = any(command.text.startswith("git clone ") for command in commands)
    terminal = Terminal(copy, copy.root.parent if clones else copy.root, tmp_path)
    try:
        for command in commands:
            try:
                terminal.type(command)
            except AssertionError as error:
                pytest.fail(f"{page}:{command.line}: {command.text}\n{error}", pytrace=False)
    finally:
        terminal.close()
