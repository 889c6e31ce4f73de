"""The lines of the logs, written by real processes and read as a program would."""

import json
import logging
import os
import pty
import select
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs import logs
from tests.support.project import ROOT


def record(message: str, *arguments: Any, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("some.logger", level, __file__, 1, message, arguments, None)
    vars(made).update(extra)
    return made


def python(code: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that runs some code after our logging has been installed."""
    code = f"import logging, os, sys, threading, warnings\nfrom jobs import logs\nlogs.install()\n{code}"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **options)


def lines_of(code: str) -> list[dict[str, Any]]:
    """Return what a process writes to its log; each line must be JSON."""
    _, log = python(code, stderr=subprocess.PIPE).communicate(timeout=30)
    return [json.loads(line) for line in log.splitlines()]


def test_a_line_is_a_json_object_with_time_level_and_event() -> None:
    line = json.loads(logs.JsonLines().format(record("%d jobs\nof %s", 3, "ours", level=logging.WARNING)))
    moment = datetime.fromisoformat(line.pop("time"))
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert line == {"level": "WARNING", "event": "3 jobs\nof ours", "logger": "some.logger"}


def test_fields_stand_beside_the_event() -> None:
    line = json.loads(logs.JsonLines().format(record("100 % done", fields={"task_id": "a", "seconds": 0.5})))
    del line["time"]
    assert line == {"level": "INFO", "event": "100 % done", "task_id": "a", "seconds": 0.5}


def test_on_a_terminal_a_line_is_plain_text() -> None:
    master, slave = pty.openpty()
    process = python("logs.tell(logging.getLogger('x'), 'started', task_id='a', attempt=1)", stderr=slave)
    assert process.wait(30) == 0
    os.close(slave)
    assert os.read(master, 1000).decode().strip().endswith(" INFO started task_id=a attempt=1")
    os.close(master)


@pytest.mark.parametrize(
    ("code", "level", "event"),
    [
        ("warnings.warn('old')", "WARNING", "old"),
        ("logging.getLogger('library').warning('careful')", "WARNING", "careful"),
        ("proud = logging.getLogger('p'); proud.propagate = False; proud.error('alone')", "ERROR", "alone"),
        ("raise ValueError('what')", "CRITICAL", "what"),
        ("t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()", "CRITICAL", "division by zero"),
    ],
)
def test_whatever_is_logged_in_a_process_is_json(code: str, level: str, event: str) -> None:
    (line,) = lines_of(code)
    assert line["level"] == level
    assert event in line["event"]
    assert ("traceback" in line) == (level == "CRITICAL")


def test_what_a_library_says_for_debugging_is_left_out() -> None:
    assert lines_of("logging.getLogger('library').debug('detail')") == []


def test_gathered_lines_are_written_whole_and_in_order_also_at_the_end() -> None:
    code = """
gathered = logs.GatheredLines()
logger = logging.getLogger("jobs")
logger.addHandler(gathered)
logger.propagate = False
for number in range(100):
    logs.tell(logger, "started", number=number, pad="x" * 100)
gathered.flush()
logs.tell(logger, "last")
"""
    lines = lines_of(code)
    assert [line.get("number") for line in lines] == [*range(100), None]
    assert lines[-1]["event"] == "last"


def test_nobody_can_write_between_two_pieces_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, piece: written.append(piece))
    waked = []
    gathered = logs.GatheredLines(lambda: waked.append(True))
    for _ in range(100):
        gathered.handle(record("x" * 200))
    assert (written, waked) == ([], [True])
    gathered.flush()
    assert b"".join(written).count(b"\n") == 100
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in written)
    assert len(written) < 20
    gathered.handle(record("again"))
    assert waked == [True, True]


def test_the_lines_of_many_jobs_name_all_of_them_and_stay_short(caplog: pytest.LogCaptureFixture) -> None:
    jobs = [(f"{number:036}", "r" * 64) for number in range(100)]
    with caplog.at_level(logging.INFO):
        logs.tell_of_jobs(logging.getLogger("x"), "published", jobs, seconds=0.0123)
    lines = [logs.JsonLines().format(each) for each in caplog.records]
    told = [job for line in lines for job in json.loads(line)["jobs"].items()]
    assert told == jobs
    # With ids as Nginx makes them, a line is written in one piece; with the longest, it may be longer.
    assert all(len(line) < 5000 for line in lines)
    assert {json.loads(line)["seconds"] for line in lines} == {0.0123}
