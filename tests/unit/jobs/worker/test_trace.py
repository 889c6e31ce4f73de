"""Tracebacks of real exceptions, some of them from a task that Celery itself runs."""

from collections.abc import Callable
from typing import Any

import pytest
from celery.app.trace import build_tracer
from tasks import divide

from jobs.app import app
from jobs.errors import JobFailed
from jobs.worker import trace
from jobs.worker.backend import LedgerBackend


def raised(work: Callable[[], Any]) -> BaseException:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_it_tells_where_an_exception_came_from() -> None:
    text = trace.trace(raised(lambda: divide.quotient(1, 0)))
    assert text is not None
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert any("divide.py" in line and "in quotient" in line for line in lines)
    assert lines[-1] == "jobs.errors.JobFailed: Division by zero: b must not be 0."


def test_it_begins_with_the_code_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a pool process runs it: by Celery, which tells the backend."""
    told: list[BaseException] = []
    monkeypatch.setattr(LedgerBackend, "store_result", lambda _self, _id, result, *_, **__: told.append(result))
    monkeypatch.setattr(divide, "STEPS", ())
    build_tracer(divide.divide.name, divide.divide, app=app)("an-id", (), {"a": 1, "b": 0})
    text = trace.trace(told[-1])
    assert text is not None
    first = text.splitlines()[1]
    assert first.endswith("in divide")
    assert "divide.py" in first


def test_the_exception_that_led_to_it_is_told_as_well() -> None:
    def work() -> None:
        try:
            raise OSError("the disk is full")
        except OSError as error:
            raise JobFailed("The file cannot be written.") from error

    text = trace.trace(raised(work))
    assert text is not None
    assert "OSError: the disk is full" in text
    assert text.rstrip().endswith("JobFailed: The file cannot be written.")


def test_the_values_of_variables_are_left_out() -> None:
    def work(password: str) -> None:
        raise ValueError("the server says no")

    text = trace.trace(raised(lambda: work("s3cr3t" * 2)))
    assert text is not None
    assert "s3cr3t" * 2 not in text


def test_an_exception_that_was_not_raised_has_none() -> None:
    assert trace.trace(JobFailed("The result is not JSON.")) is None


@pytest.mark.parametrize("message", ["x" * 50_000, "line\n" * 20_000, "\n" * 40_000])
def test_a_long_one_keeps_its_end(message: str) -> None:
    def work() -> None:
        raise ValueError(f"{message} at last")

    text = trace.trace(raised(work))
    assert text is not None
    assert len(text) <= trace.LONGEST
    assert text.startswith(trace.CUT)
    assert text.rstrip().endswith("at last")


def test_it_is_a_text_that_every_database_takes() -> None:
    def work() -> None:
        raise ValueError("a\0b \udcff")

    text = trace.trace(raised(work))
    assert text is not None
    assert "ValueError: a?b ?" in text
