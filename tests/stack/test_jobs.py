"""What a client sees of jobs: accepted, run, listed, cancelled, retried."""

import json
import uuid
from typing import Any

import pytest

from tests.support.stack import Stack, wait_until


def test_a_heavy_job_is_accepted_and_run(stack: Stack) -> None:
    answer = stack.http.post("/flask/heavy", json={"seconds": 0.2})
    assert answer.status_code == 202
    task_id = answer.json()["task_id"]
    assert answer.headers["Location"] == f"/flask/tasks/{task_id}"

    assert stack.wait_state(task_id, "SUCCESS")["result"] == "This task took 0.2 seconds."
    assert stack.http.get(f"/flask/result/{task_id}").json() == {
        "status": "SUCCESS",
        "result": "This task took 0.2 seconds.",
    }
    job = stack.http.get(answer.headers["Location"]).json()
    assert job["state"] == job["status"] == "SUCCESS"
    assert job["ready"] is job["successful"] is True
    assert (job["task_type"], job["progress"], job["attempts"]) == ("heavy", 100, 1)
    assert job["info"] == job["result"]
    assert job["worker"] == stack.celery
    assert job["created_at"] <= job["started_at"] <= job["ended_at"]


def test_a_browser_may_submit_with_get(stack: Stack) -> None:
    answer = stack.http.get("/flask/heavy", params={"seconds": 0})
    assert answer.status_code == 202
    stack.wait_state(answer.json()["task_id"], "SUCCESS")


def test_the_page_and_the_greeting(stack: Stack) -> None:
    page = stack.http.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert stack.http.get("/proxy-health").text.strip() == "OK"
    assert stack.http.get("/flask").json()["message"] == "Hello from flask."
    assert stack.http.get("/flask/healthz").json()["status"] == "healthy"


def test_what_works_behind_it_is_told(stack: Stack) -> None:
    answer = stack.http.get("/flask/healthz/background")
    assert answer.status_code == 200
    assert answer.json() == {"rabbitmq": "ok", "ledger": "ok", "workers": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "names"),
    [
        ("POST", "/flask/heavy", {"json": {"seconds": 61}}, 422, "seconds"),
        ("POST", "/flask/heavy", {"json": {"seconds": "soon"}}, 422, "seconds"),
        ("POST", "/flask/heavy", {"json": {"second": 1}}, 422, "second"),
        ("POST", "/flask/heavy", {"json": [1]}, 422, "body"),
        ("POST", "/flask/heavy", {"content": b"{"}, 400, "body"),
        ("POST", "/flask/heavy", {"content": b'"\xff'}, 400, "body"),
        ("POST", "/flask/heavy", {"content": b" " * 2_000_000}, 413, "1 MB"),
        ("PUT", "/flask/heavy", {"json": {}}, 405, "not allowed"),
        ("GET", "/flask/heavy?seconds=-1", {}, 422, "seconds"),
        ("GET", "/flask/tasks?limit=501", {}, 422, "limit"),
        ("GET", "/flask/tasks?limit=x", {}, 422, "limit"),
        ("GET", "/flask/tasks?status=DONE", {}, 422, "status"),
        ("GET", "/flask/tasks?cursor=nonsense", {}, 422, "cursor"),
        ("GET", "/flask/tasks?colour=red", {}, 422, "colour"),
        ("GET", "/flask/status", {}, 400, "task_id"),
        ("GET", "/flask/status?task_id=unknown", {}, 404, "unknown"),
        ("GET", "/flask/status?task_id=%00", {}, 404, "no job"),
        ("GET", "/flask/result/unknown", {}, 404, "unknown"),
        ("GET", "/flask/tasks/unknown", {}, 404, "unknown"),
        ("DELETE", "/flask/tasks/unknown", {}, 404, "unknown"),
        ("POST", "/flask/tasks/unknown/retry", {}, 404, "unknown"),
        ("GET", "/flask/no-such-route", {}, 404, "not found"),
    ],
)
def test_bad_input_gets_a_problem_document(
    stack: Stack, method: str, path: str, body: dict[str, Any], status: int, names: str
) -> None:
    answer = stack.http.request(method, path, **body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert names in problem["detail"]


def test_the_list_holds_every_job_once_newest_first(stack: Stack) -> None:
    ids = [stack.submit_heavy() for _ in range(7)]
    for task_id in ids:
        stack.wait_state(task_id, "SUCCESS")
    found: list[str] = []
    parameters = {"limit": "3", "status": "SUCCESS", "task_type": "heavy"}
    while len(found) < 7:
        page = stack.http.get("/flask/tasks", params=parameters).json()
        assert len(page["data"]) <= 3
        found += [job["task_id"] for job in page["data"]]
        parameters["cursor"] = page["next"]
    assert found[:7] == ids[::-1]


def test_a_waiting_job_that_is_cancelled_never_starts_not_even_on_a_later_worker(stack: Stack) -> None:
    stack.docker("stop", stack.celery)
    try:
        cancelled, kept = stack.submit_heavy(), stack.submit_heavy()
        answer = stack.http.delete(f"/flask/tasks/{cancelled}")
        assert answer.status_code == 200
        assert answer.json()["state"] == "REVOKED"
    finally:
        stack.docker("start", stack.celery)
    stack.wait_state(kept, "SUCCESS", timeout=60)
    job = stack.http.get(f"/flask/tasks/{cancelled}").json()
    assert (job["state"], job["attempts"], job["result"]) == ("REVOKED", 0, "Cancelled on request.")


def test_running_jobs_that_are_cancelled_free_their_processes(stack: Stack) -> None:
    # As many as the worker runs at once: the job after them can only run when they are really gone.
    running = [stack.submit_heavy(60) for _ in range(4)]
    for task_id in running:
        stack.wait_state(task_id, "STARTED")
    for task_id in running:
        assert stack.http.delete(f"/flask/tasks/{task_id}").status_code == 200
    stack.wait_state(stack.submit_heavy(), "SUCCESS", timeout=15)
    assert {stack.status(task_id)["status"] for task_id in running} == {"REVOKED"}
    assert stack.http.delete(f"/flask/tasks/{running[0]}").status_code == 409


def test_a_cancelled_job_can_be_retried_as_a_new_one(stack: Stack) -> None:
    first = stack.submit_heavy(60)
    stack.http.delete(f"/flask/tasks/{first}")
    # Long enough for the retry to be running when it is looked at, cancelled at once afterwards.
    answer = stack.http.post(f"/flask/tasks/{first}/retry")
    assert answer.status_code == 202
    again = answer.json()["task_id"]
    assert again != first
    stack.wait_state(again, "STARTED")
    shown = stack.http.get(f"/flask/tasks/{again}").json()
    assert (shown["input_params"], shown["retry_of"]) == ({"seconds": 60}, first)
    assert stack.http.get(f"/flask/tasks/{first}").json()["retried_as"] == [again]
    stack.http.delete(f"/flask/tasks/{again}")


def test_a_job_that_succeeded_cannot_be_retried(stack: Stack) -> None:
    task_id = stack.submit_heavy()
    stack.wait_state(task_id, "SUCCESS")
    answer = stack.http.post(f"/flask/tasks/{task_id}/retry")
    assert answer.status_code == 409
    assert "SUCCESS" in answer.json()["detail"]


def test_celerys_own_interface_keeps_working_from_a_shell(stack: Stack) -> None:
    code = (
        "from tasks.heavy import heavy; from celery.result import AsyncResult;"
        "sent = heavy.delay(seconds=0);"
        "print(sent.id, '|', sent.get(timeout=30), '|', AsyncResult(sent.id).state)"
    )
    task_id, result, state = stack.docker("exec", stack.celery, "python", "-c", code).split(" | ")
    assert (result, state) == ("This task took 0 seconds.", "SUCCESS")
    job = stack.http.get(f"/flask/tasks/{uuid.UUID(task_id)}").json()
    assert (job["state"], job["input_params"]) == ("SUCCESS", {"seconds": 0})


@pytest.mark.parametrize(
    ("call", "state", "result", "params"),
    [
        ("add.delay(64, 4)", "SUCCESS", 68, {"a": 64, "b": 4}),
        ("add.delay(a=1, b='2')", "FAILURE", "b: Input should be a valid number.", {"a": 1, "b": "2"}),
        ("heavy.delay(seconds=99)", "FAILURE", "seconds: Input should be less than or equal to 60.", {"seconds": 99}),
    ],
)
def test_a_job_that_is_sent_from_a_shell_is_checked_too(
    stack: Stack, call: str, state: str, result: Any, params: dict[str, Any]
) -> None:
    code = f"from tasks.add import add; from tasks.heavy import heavy; print({call}.id)"
    task_id = stack.docker("exec", stack.celery, "python", "-c", code)
    job = wait_until(
        lambda: stack.http.get(f"/flask/tasks/{task_id}").json(), 30, "it has ended", lambda job: job.get("ready")
    )
    assert (job["state"], job["result"], job["input_params"]) == (state, result, params)


def test_the_workers_log_shows_start_and_end_of_a_job_with_its_id(stack: Stack) -> None:
    task_id = stack.submit_heavy()
    stack.wait_state(task_id, "SUCCESS")

    def lines() -> list[str]:
        return [line for line in stack.logs(stack.celery).splitlines() if task_id in line]

    found = wait_until(lines, 10, "both lines are logged", lambda lines: len(lines) == 2)
    assert [json.loads(line)["event"] for line in found] == ["started", "succeeded"]
