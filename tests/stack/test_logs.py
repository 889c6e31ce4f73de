"""What the containers log, and the story of a job that `ops/trace.sh` makes of it."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.stack import Stack, wait_until


def lines(stack: Stack, container: str) -> list[dict[str, Any]]:
    """Return the lines of a container's log that are JSON."""
    return [json.loads(line) for line in stack.logs(container).splitlines() if line.startswith("{")]


def told(stack: Stack, container: str, task_id: str, event: str) -> dict[str, Any]:
    """Wait for a line that tells of this event of a job, and return it."""

    def found() -> list[dict[str, Any]]:
        return [
            line
            for line in lines(stack, container)
            if line["event"] == event and (line.get("task_id") == task_id or task_id in line.get("jobs", ()))
        ]

    return wait_until(found, 10, f"{container} tells of {event}")[0]


def submit(stack: Stack, request_id: str, **body: Any) -> str:
    body = {"task_type": "add", "input_params": {"a": 1, "b": 2}} | body
    answer = stack.http.post("/flask/tasks", json=body, headers={"X-Request-ID": request_id})
    assert answer.headers["X-Request-ID"] == request_id
    return str(answer.json()["task_id"])


@pytest.fixture(scope="module")
def traced(stack: Stack) -> tuple[str, str]:
    """A job that has ended, and the id of its request."""
    request_id = f"test.{uuid.uuid4()}"
    task_id = submit(stack, request_id)
    stack.wait_state(task_id, "SUCCESS")
    told(stack, stack.nginx, task_id, "request")
    told(stack, stack.flask, task_id, "published")
    told(stack, stack.celery, task_id, "succeeded")
    return task_id, request_id


def test_every_container_on_the_way_tells_of_the_job_with_both_ids(stack: Stack, traced: tuple[str, str]) -> None:
    task_id, request_id = traced
    request = told(stack, stack.nginx, task_id, "request")
    assert (
        request.items() >= {"method": "POST", "path": "/flask/tasks", "status": 202, "request_id": request_id}.items()
    )
    assert told(stack, stack.flask, task_id, "published")["jobs"][task_id] == request_id
    for event in ("started", "succeeded"):
        line = told(stack, stack.celery, task_id, event)
        about = {"task_type": "add", "attempt": 1, "request_id": request_id, "worker": stack.celery}
        assert line.items() >= about.items()
    assert stack.http.get(f"/flask/tasks/{task_id}").json()["request_id"] == request_id


def test_what_beat_publishes_keeps_the_id_of_its_request(stack: Stack) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    task_id = submit(stack, "for-later", run_at=soon)
    stack.wait_state(task_id, "SUCCESS")
    assert told(stack, stack.beat, task_id, "published")["jobs"][task_id] == "for-later"
    assert told(stack, stack.celery, task_id, "started")["request_id"] == "for-later"


def test_all_jobs_of_a_request_have_its_id_and_a_retry_has_its_own(stack: Stack) -> None:
    wrong = {"task_type": "divide", "input_params": {"a": 1, "b": 0}}
    answer = stack.http.post("/flask/tasks/batch", json={"jobs": [wrong] * 2}, headers={"X-Request-ID": "many"})
    first, second = answer.json()["task_ids"]
    for task_id in (first, second):
        stack.wait_state(task_id, "FAILURE")
        assert told(stack, stack.celery, task_id, "failed")["request_id"] == "many"
        # What the pool process has logged by itself names the job, too.
        (error,) = [
            line for line in lines(stack, stack.celery) if line["level"] == "ERROR" and task_id in line["event"]
        ]
        assert error.items() >= {"task_id": task_id, "attempt": 1, "request_id": "many"}.items()
        assert "JobFailed" in error["traceback"]
    again = stack.http.post(f"/flask/tasks/{first}/retry", headers={"X-Request-ID": "once-more"}).json()["task_id"]
    assert stack.http.get(f"/flask/tasks/{again}").json()["request_id"] == "once-more"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 65, 'quote"', "new\tline", "ü"])
def test_a_request_without_a_sane_id_gets_one(stack: Stack, given: str | None) -> None:
    headers = httpx.Headers({} if given is None else {"X-Request-ID": given}, encoding="utf-8")
    answer = stack.http.post("/flask/add", json={"a": 1, "b": 2}, headers=headers)
    made = answer.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert stack.http.get(answer.headers["Location"]).json()["request_id"] == made


def test_an_answer_of_nginx_itself_has_the_id_of_its_line(stack: Stack) -> None:
    answer = stack.http.post("/flask/text", content=b"x" * 2_000_000)
    assert answer.status_code == 413
    made = answer.headers["X-Request-ID"]
    wait_until(
        lambda: [(line["method"], line["status"]) for line in lines(stack, stack.nginx) if line["request_id"] == made],
        10,
        "Nginx has written its line",
        lambda found: found == [("POST", 413)],
    )


def test_the_story_of_a_job_is_told_in_order(stack: Stack, traced: tuple[str, str]) -> None:
    task_id, request_id = traced
    text = stack.run("ops/trace.sh", task_id[:13]).stdout
    assert text.startswith(f"add {task_id}: SUCCESS, request {request_id}\n")
    in_order = [
        f"{stack.nginx} +POST /flask/tasks from ",
        "ledger +accepted for the queue arithmetic",
        f"{stack.flask} +published",
        f"{stack.celery} +attempt 1 started",
        f"{stack.celery} +attempt 1 succeeded after ",
    ]
    assert re.search(".*".join(in_order), text, re.DOTALL), text
    assert re.search(rf"{stack.nginx} +answered 202 after \d+ ms", text)
    assert "No line" not in text

    told = json.loads(stack.run("ops/trace.sh", "--json", task_id).stdout)
    times = [moment["time"] for moment in told["story"]]
    assert times == sorted(times)
    assert {moment["where"] for moment in told["story"]} == {stack.nginx, "ledger", stack.flask, stack.celery}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [([], "which job"), (["f" * 36], "has no job whose id is"), (["abc"], "too short"), (["--jsn"], "required: id")],
)
def test_a_wrong_id_is_a_clear_error(stack: Stack, arguments: list[str], why: str) -> None:
    result = stack.run("ops/trace.sh", *arguments, check=False)
    assert result.returncode != 0
    assert why in result.stderr
    assert result.stdout == ""


def test_every_line_of_the_python_containers_is_json_also_when_they_stop(stack: Stack) -> None:
    stack.docker("restart", "--time", "20", stack.celery, stack.beat, stack.flask, timeout=90)
    stack.wait_healthy(stack.celery, stack.beat, stack.flask)
    for container in (stack.celery, stack.beat, stack.flask):
        log = stack.logs(container).splitlines()
        assert log
        for line in log:
            assert json.loads(line).keys() >= {"time", "level", "event"}, line
