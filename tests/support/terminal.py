"""Commands of the documentation, typed by a test into a copy of the project as a reader would.

The copy runs as a stack of its own: where a page says port 8000 and `my_`, the commands are run with that stack's port
and prefix. Beyond that:

- `git clone ...` is not run, since it would fetch what is published, not what is tested: the copy is already there;
- `./test.sh ...` would run itself, so only its --help is asked;
- `sudo` is left out.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.support.documented import Command, Rule
from tests.support.project import ROOT, project_files
from tests.support.stack import Stack

COMMAND_TIMEOUT = 300
OUTPUT_TIMEOUT = 120  # long enough for a Python environment to be installed first
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


class CommandFailed(Exception):
    """A documented command did not do what the page promises."""


class Typed:
    """A command that was typed: its process, and what it has printed so far."""

    def __init__(self, script: str, folder: Path, env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                ["bash", "-c", script],
                cwd=folder,
                env=os.environ | env,
                stdin=subprocess.PIPE,  # open and silent, like a reader who types nothing
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group of its own, to which Ctrl-C can be sent
            )

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def await_success(self) -> None:
        code = self._await_end(COMMAND_TIMEOUT, f"still running after {COMMAND_TIMEOUT} s")
        if code != 0:
            raise CommandFailed(f"ended with {code}:\n{self.output()}")

    def await_output(self, pattern: str) -> None:
        deadline = time.monotonic() + OUTPUT_TIMEOUT
        while not re.search(pattern, self.output()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"its output does not match {pattern}:\n{self.output()}")
            time.sleep(0.1)

    def press_ctrl_c(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        self._await_end(INTERRUPT_TIMEOUT, "Ctrl-C does not end it")

    def _await_end(self, timeout: float, complaint: str) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise CommandFailed(f"{complaint}:\n{self.output()}") from None
        finally:
            assert self.process.stdin is not None
            self.process.stdin.close()


class Terminal:
    """Where a reader types the commands of one page. What runs in the background gets Ctrl-C when it is closed."""

    def __init__(self, stack: Stack, folder: Path, logs: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.logs = logs
        self.state = logs / "shell_state"
        self.state.touch()
        self.cleanup = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.cleanup.close()

    def type(self, command: Command) -> None:
        """Do with a command what its rule says; raise CommandFailed when it does not work."""
        print(f"line {command.line}: {command.rule.value}: {command.text}", flush=True)
        match command.rule:
            case Rule.RUN:
                self._start(command, RESTORE + SAVE).await_success()
            case Rule.UNTIL:
                with ExitStack() as at_the_end:
                    typed = self._start(command, RESTORE)
                    at_the_end.callback(typed.press_ctrl_c)
                    typed.await_output(command.pattern)
            case Rule.BACKGROUND:
                typed = self._start(command, RESTORE)
                self.cleanup.callback(typed.press_ctrl_c)
                typed.await_output(command.pattern)
            case Rule.SKIP:
                pass

    def _start(self, command: Command, prologue: str) -> Typed:
        env = {"PREFIX": self.stack.prefix, "PORT": str(self.stack.port), "SHELL_STATE": str(self.state)}
        env["STOP_TIMEOUT"] = self.stack.env["STOP_TIMEOUT"]
        env["PYTHONUNBUFFERED"] = "1"  # what is printed counts at once, as on a terminal
        script = prologue + rewrite(command.text, self.stack)
        return Typed(script, self.folder, env, self.logs / f"line{command.line}.log")


def rewrite(text: str, stack: Stack) -> str:
    """Make a documented command one that speaks of the test's stack."""
    text = re.sub(r"\b(localhost|127\.0\.0\.1):8000\b", rf"\1:{stack.port}", text)
    text = re.sub(r"\bmy(?=_\w)|(?<=warren\.stack=)my\b", stack.prefix, text)
    text = re.sub(r"^git clone .*", "true", text)
    text = re.sub(r"^sudo ", "", text)
    return re.sub(r"^\./test\.sh\b.*", "./test.sh --help", text)


def copy_project(root: Path) -> None:
    """Copy the project's files to where `git clone` would put them."""
    for path in [*project_files(), Path("db/.gitkeep")]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, root / path)


def type_all(page: str, commands: Sequence[Command], stack: Stack, folder: Path, logs: Path) -> None:
    """Type the commands of a page one after the other; fail the test at the first that does not work."""
    with Terminal(stack, folder, logs) as terminal:
        for command in commands:
            try:
                terminal.type(command)
            except CommandFailed as error:
                pytest.fail(f"{page}:{command.line}: {command.text}\n{error}", pytrace=False)
