"""Submitting a job: keys that make it safe to try again, times to run at, and what is refused."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jobs.catalogue import JOB_TYPES
from tests.support.stack import Stack

ADD = {"task_type": "add", "input_params": {"a": 1, "b": 2}}


def submit(stack: Stack, body: dict[str, Any], **headers: str) -> httpx.Response:
    return stack.http.post("/flask/tasks", json=body, headers=headers)


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def times(job: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(job[name])


# --- Idempotency-Key --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/flask/tasks", ADD),
        ("/flask/api/tasks/submit", ADD),
        ("/flask/heavy", {"seconds": 0}),
        ("/flask/export", None),
    ],
)
def test_the_same_key_and_body_is_the_same_job(stack: Stack, path: str, body: dict[str, Any] | None) -> None:
    headers = key()
    [(before,)] = stack.ledger("SELECT count(*) FROM job")
    first, second = (stack.http.post(path, json=body, headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"]
    assert stack.ledger("SELECT count(*) FROM job") == [(before + 1,)]


def test_it_is_the_same_body_however_it_is_written(stack: Stack) -> None:
    headers = key()
    answers = [
        stack.http.post("/flask/add", content=text, headers=headers) for text in ('{"a": 1, "b": 2}', '{"b":2,"a":1}')
    ]
    assert answers[0].json() == answers[1].json()


def test_the_same_key_with_another_body_is_refused(stack: Stack) -> None:
    headers = key()
    assert submit(stack, ADD, **headers).status_code == 202
    for body in (ADD | {"input_params": {"a": 1, "b": 3}}, ADD | {"task_type": "divide"}):
        answer = submit(stack, body, **headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    # ... and so is the same body for another route.
    assert stack.http.post("/flask/api/tasks/submit", json=ADD, headers=headers).status_code == 422


def test_many_requests_at_once_with_one_key_make_one_job(stack: Stack) -> None:
    headers = key()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: submit(stack, ADD, **headers), range(64)))
    assert {answer.status_code for answer in answers} == {202}
    [task_id] = {answer.json()["task_id"] for answer in answers}
    stack.wait_state(task_id, "SUCCESS")
    assert stack.ledger("SELECT count(*) FROM idempotency WHERE job_id = ?", task_id) == [(1,)]


@pytest.mark.parametrize("bad", ["", "with a space", "x" * 256])
def test_a_key_that_is_none_is_refused(stack: Stack, bad: str) -> None:
    answer = submit(stack, ADD, **{"Idempotency-Key": bad})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


# --- run_at -----------------------------------------------------------------------------------------------------------


def test_a_scheduled_job_runs_at_its_time(stack: Stack) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=3)
    task_id = submit(stack, ADD | {"run_at": moment.isoformat()}).json()["task_id"]
    job = stack.http.get(f"/flask/tasks/{task_id}").json()
    assert (job["state"], job["attempts"]) == ("PENDING", 0)
    assert times(job, "run_at") == moment
    stack.wait_state(task_id, "SUCCESS")
    job = stack.http.get(f"/flask/tasks/{task_id}").json()
    assert times(job, "started_at") >= moment


def test_a_time_may_have_any_offset(stack: Stack) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    there = moment.astimezone(tz=datetime.fromisoformat("2000-01-01T00:00:00+05:30").tzinfo)
    task_id = submit(stack, ADD | {"run_at": there.isoformat()}).json()["task_id"]
    job = stack.http.delete(f"/flask/tasks/{task_id}").json()
    assert times(job, "run_at") == moment


def test_a_time_that_is_over_means_now(stack: Stack) -> None:
    task_id = submit(stack, ADD | {"run_at": "2001-01-01T00:00:00Z"}).json()["task_id"]
    stack.wait_state(task_id, "SUCCESS", timeout=10)


def test_a_scheduled_job_that_is_cancelled_never_runs(stack: Stack) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=3)
    task_id, other = (submit(stack, ADD | {"run_at": moment.isoformat()}).json()["task_id"] for _ in range(2))
    assert stack.http.delete(f"/flask/tasks/{task_id}").json()["state"] == "REVOKED"
    stack.wait_state(other, "SUCCESS")
    job = stack.http.get(f"/flask/tasks/{task_id}").json()
    assert (job["state"], job["attempts"], job["started_at"]) == ("REVOKED", 0, None)


@pytest.mark.parametrize(
    "run_at", ["tomorrow", "2030-01-01T00:00:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", 0, {}]
)
def test_a_time_that_is_none_is_refused(stack: Stack, run_at: Any) -> None:
    answer = submit(stack, ADD | {"run_at": run_at})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "run_at"


# --- what the kinds of jobs refuse ------------------------------------------------------------------------------------

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("heavy", {"seconds": 60.5}, "seconds"),
    ("add", {"a": 1}, "b"),
    ("add", {"a": "1", "b": 2}, "a"),
    ("add", {"a": 1, "b": None}, "b"),
    ("add", {"a": 1, "b": 2, "c": 3}, "c"),
    ("divide", {"a": True, "b": 2}, "a"),
    ("divide", {"a": 1e16, "b": 2}, "a"),
    ("text", {"text": ""}, "text"),
    ("text", {"text": "x" * 10_001}, "text"),
    ("text", {"text": "x", "repeat": 101}, "repeat"),
    ("text", {"text": "x", "repeat": 1.5}, "repeat"),
    ("text", {"text": "x", "repeat": True}, "repeat"),
    ("export", {"filters": {"done": "perhaps"}}, "filters.done"),
    ("export", {"filters": {"created_from": "yesterday"}}, "filters.created_from"),
    ("export", {"filters": {"created_to": "2026-01-01T00:00:00"}}, "filters.created_to"),
    ("export", {"filters": {"created_to": 0}}, "filters.created_to"),
    ("export", {"filters": {"color": 1}}, "filters.color"),
    ("csv_processing", {"num_rows": 99}, "num_rows"),
    ("csv_processing", {"num_rows": 10_001}, "num_rows"),
    ("csv_processing", {"processing_time": 4.9}, "processing_time"),
    ("csv_processing", {"processing_time": 61}, "processing_time"),
    ("email_sending", {"num_emails": 0}, "num_emails"),
    ("email_sending", {"num_emails": 101}, "num_emails"),
    ("email_sending", {"subject": "two\r\nlines"}, "subject"),
    ("email_sending", {"delay": 0.4}, "delay"),
    ("image_processing", {"num_images": 21}, "num_images"),
    ("image_processing", {"width": 99}, "width"),
    ("image_processing", {"height": 2001}, "height"),
    ("cancel_jobs", {"status": ["SUCCESS"]}, "status.0"),
    ("cancel_jobs", {"status": "PENDING"}, "status"),
    ("cancel_jobs", {"queue": "mine"}, "queue"),
    ("retry_jobs", {"task_type": "nothing"}, "task_type"),
    ("retry_jobs", {"status": ["PENDING"]}, "status.0"),
    ("retry_jobs", {"created_from": "soon"}, "created_from"),
    ("delete_failures", {"failure": "all"}, "failure"),
    ("delete_failures", {}, "failure"),
]


def test_every_kind_is_tried_with_something_wrong() -> None:
    assert {name for name, _, _ in WRONG} == JOB_TYPES.keys()


@pytest.mark.parametrize(("task_type", "params", "field"), WRONG)
def test_wrong_parameters_are_named(stack: Stack, task_type: str, params: dict[str, Any], field: str) -> None:
    [(before,)] = stack.ledger("SELECT count(*) FROM job")
    short = stack.http.post(f"/flask/{task_type}", json=params)
    long = submit(stack, {"task_type": task_type, "input_params": params})
    for answer, name in [(short, field), (long, f"input_params.{field}")]:
        assert answer.status_code == 422, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert [error["field"] for error in problem["errors"]] == [name]
        assert problem["errors"][0]["message"] in problem["detail"]
    assert stack.ledger("SELECT count(*) FROM job") == [(before,)]
