import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import Retry
from tasks import add, divide

from jobs import task
from jobs.errors import JobFailed
from jobs.task import JobTask


def test_progress_reaches_the_ledger_at_most_every_fifth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(divide.divide, "update_state", lambda *, state, meta: told.append(meta))
    divide.divide.push_request()
    try:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            divide.divide.report(1.4, "on it", more=1)
    finally:
        divide.divide.pop_request()
    assert told == [{"percent": 1, "message": "on it", "more": 1}] * (1 + int(0.3 / task.REPORT_INTERVAL))


@pytest.fixture
def running() -> Iterator[JobTask]:
    """The task of a run that is under way."""
    divide.divide.push_request(retries=0)
    yield divide.divide
    divide.divide.pop_request()


def test_a_retry_waits_until_its_eta(running: JobTask) -> None:
    eta = datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(Retry):
        running.retry(eta=eta)
    assert running.request.due_at == pytest.approx(eta.timestamp(), abs=1)


def test_a_retry_at_a_time_without_an_offset_is_refused(running: JobTask) -> None:
    with pytest.raises(ValueError, match="offset"):
        running.retry(eta=datetime(2030, 1, 1))


@pytest.mark.parametrize(("args", "kwargs"), [((64, 4), {}), ((64,), {"b": 4}), ((), {"a": 64, "b": 4})])
def test_a_task_gets_its_model_however_the_job_was_sent(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert add.add.run(*args, **kwargs) == 68


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((1,), {}, "b: Field required."),
        ((), {"a": "1", "b": 2}, "a: Input should be a valid number."),
        ((1, 2), {"c": 3}, "c: Extra inputs are not permitted."),
    ],
)
def test_what_is_wrong_with_the_parameters_is_told_in_a_sentence(
    args: tuple[Any, ...], kwargs: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(JobFailed) as failed:
        add.add.run(*args, **kwargs)
    assert str(failed.value) == sentence
