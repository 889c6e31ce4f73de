r"""The commands that a page of the documentation shows, in the order in which a reader types them.

All lines of a ```bash or ```sh block are commands. In a ```console block only the lines that start with `$ ` or
`> ` are commands, and the other lines are output. A command may have several lines, as in a terminal. An HTML comment
right before a block marks its command as special:

    <!-- test: skip because REASON -->     the command is not run
    <!-- test: until "REGEX" -->           it runs until its output matches, then gets Ctrl-C
    <!-- test: background "REGEX" -->      it goes on after its output matches, and gets Ctrl-C at the end of the page

A similar comment before a block of code names the file of the project that the block belongs to, and the place in it:

    <!-- file: PATH -->                    the block is a new file
    <!-- file: PATH, before "LINE" -->     it goes into the file, before the only line with this text
    <!-- file: PATH, after "LINE" -->      it goes into the file, after that line
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Rule(Enum):
    """How the test runs a command."""

    RUN = "run"
    SKIP = "skip"
    UNTIL = "until"
    BACKGROUND = "background"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a page."""

    #: Number of its first line in the page.
    line: int
    text: str
    rule: Rule = Rule.RUN
    #: A regular expression that its output has to match; only for UNTIL and BACKGROUND.
    pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class Code:
    """One block of code, and its place in the project."""

    path: str
    lines: list[str]
    #: `before` or `after` the line in `anchor`; empty if the block is a new file.
    where: str = ""
    anchor: str = ""

    def put_into(self, project: Path) -> None:
        """Write the block into a copy of the project. Raises ValueError if the file or the line does not fit."""
        file = project / self.path
        if not self.where:
            if file.exists():
                raise ValueError(f"{self.path} is there already")
            file.write_text("\n".join(self.lines) + "\n")
            return
        lines = file.read_text().splitlines()
        if lines.count(self.anchor) != 1:
            raise ValueError(f"{self.path} has {lines.count(self.anchor)} lines that read: {self.anchor}")
        place = lines.index(self.anchor) + (self.where == "after")
        lines[place:place] = self.lines
        file.write_text("\n".join(lines) + "\n")


FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)")
NOTE = re.compile(r"^ *<!-- test:(?P<text>.*)-->$")
CODE_NOTE = re.compile(r'<!-- file: (?P<path>[^\s,]+)(?:, (?P<where>before|after) "(?P<anchor>.+)")? -->')
NOTE_TEXT = re.compile(r'(?P<skip>skip) because \w.*|(?P<rule>until|background) "(?P<pattern>.+)"')


def extract(page: str) -> list[Command]:
    """Return the commands of a page. Raises ValueError if a comment is not as described above."""
    commands: list[Command] = []
    lines = enumerate(page.splitlines(), start=1)
    rule, pattern = Rule.RUN, ""
    for number, line in lines:
        if note := NOTE.match(line):
            rule, pattern = _parse_note(note["text"].strip(), number)
        elif fence := FENCE.match(line):
            block = list(_block(lines, len(fence["indent"])))
            if fence["language"] == "console":
                block = [(at, text[2:]) for at, text in block if text.startswith(("$ ", "> "))]
            if fence["language"] in {"bash", "sh", "console"}:
                found = [Command(line=at, text=text, rule=rule, pattern=pattern) for at, text in _join(block)]
                if pattern and len(found) != 1:
                    raise ValueError(f"line {number}: a block with `{rule.value}` has one command, not {len(found)}")
                commands += found
            rule, pattern = Rule.RUN, ""
        elif line.strip() and rule is not Rule.RUN:
            raise ValueError(f"line {number}: a block should follow the comment")
    return commands


def code(page: str) -> list[Code]:
    """Return the blocks of code that belong to files of the project. Raises ValueError like :func:`extract`."""
    found: list[Code] = []
    lines = enumerate(page.splitlines(), start=1)
    for number, line in lines:
        if not line.startswith("<!-- file:"):
            continue
        note = CODE_NOTE.fullmatch(line)
        fence = FENCE.match(next(lines, (0, ""))[1])
        if note is None or fence is None:
            raise ValueError(f'line {number}: `file: PATH`, maybe with `, before "LINE"`, and a block should follow')
        block = [text for _, text in _block(lines, len(fence["indent"]))]
        found.append(Code(path=note["path"], lines=block, where=note["where"] or "", anchor=note["anchor"] or ""))
    return found


def _parse_note(text: str, number: int) -> tuple[Rule, str]:
    note = NOTE_TEXT.fullmatch(text)
    if note is None:
        raise ValueError(
            f'line {number}: neither `skip because REASON`, `until "REGEX"` nor `background "REGEX"`: {text}'
        )
    return Rule(note["skip"] or note["rule"]), note["pattern"] or ""


def _block(lines: Iterator[tuple[int, str]], indent: int) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if line.strip() == "```":
            return
        yield number, line[indent:]


def _join(block: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Join the lines of each command: if bash finds a command incomplete, the next line belongs to it."""
    start, text = 0, ""
    for number, line in block:
        if not text and (not line.strip() or line.lstrip().startswith("#")):
            continue
        start = start if text else number
        text += ("\n" if text else "") + line
        if not text.endswith("\\") and _is_complete(text):
            yield start, text
            text = ""
    if text:  # when it is run, bash will say what is wrong with it
        yield start, text


def _is_complete(text: str) -> bool:
    check = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    return check.returncode == 0 and not check.stderr
