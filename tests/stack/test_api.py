"""The HTTP API beyond single jobs: lists, queues, other paths, errors."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.catalogue import JOB_TYPES, QUEUES
from tests.support.stack import Stack, wait_until

# --- lists of jobs ----------------------------------------------------------------------------------------------------


def test_a_filter_gives_those_jobs_and_no_other(stack: Stack) -> None:
    done = stack.submit("add", a=1, b=1)
    failed = stack.submit("divide", a=1, b=0)
    later = scheduled_in_an_hour(stack)
    stack.wait_state(done, "SUCCESS")
    stack.wait_state(failed, "FAILURE")
    try:
        for query, expected in [
            ({"status": "SUCCESS"}, {done}),
            ({"status": "FAILURE"}, {failed}),
            ({"status": "PENDING"}, {later}),
            ({"status": "FAILURE,PENDING"}, {failed, later}),
            ({"task_type": "add"}, {done, later}),
            ({"task_type": "add", "status": "PENDING"}, {later}),
            ({"task_type": "divide", "status": "SUCCESS"}, set()),
        ]:
            jobs = stack.http.get("/flask/tasks", params={"limit": "500", **query}).json()["data"]
            assert {job["task_id"] for job in jobs} & {done, failed, later} == expected, query
            assert {job["state"] for job in jobs} <= set(query.get("status", ",".join(states())).split(","))
            assert {job["task_type"] for job in jobs} <= {query.get("task_type", job["task_type"]) for job in jobs}
    finally:
        stack.http.delete(f"/flask/tasks/{later}")


def scheduled_in_an_hour(stack: Stack) -> str:
    run_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"task_type": "add", "input_params": {"a": 1, "b": 2}, "run_at": run_at}
    return str(stack.http.post("/flask/tasks", json=body).json()["task_id"])


def states() -> list[str]:
    return ["PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]


def test_pages_hold_each_job_once_while_new_ones_come(stack: Stack) -> None:
    ids = [stack.submit("add", a=number, b=0) for number in range(5)]
    first = stack.http.get("/flask/tasks", params={"limit": "3"}).json()
    stack.submit("add", a=5, b=0)
    second = stack.http.get("/flask/tasks", params={"limit": "3", "cursor": first["next"]}).json()
    assert [job["task_id"] for job in first["data"] + second["data"]][:5] == ids[::-1]


def test_the_last_page_has_no_next(stack: Stack) -> None:
    everything = stack.walk("/flask/tasks", limit="500")
    [(count,)] = stack.ledger("SELECT count(*) FROM job")
    assert len(everything) == len({job["task_id"] for job in everything}) == count


# --- queues -----------------------------------------------------------------------------------------------------------


def test_the_queues_tell_what_waits_and_how_fast_it_goes(stack: Stack) -> None:
    for task_id in [stack.submit("add", a=1, b=1) for _ in range(3)]:
        stack.wait_state(task_id, "SUCCESS")
    answer = stack.http.get("/flask/queues").json()
    assert answer["rabbitmq"] == "ok"
    queues = {queue["name"]: queue for queue in answer["data"]}
    assert queues.keys() == set(QUEUES)
    assert queues["arithmetic"]["in_rate"] >= 0.05  # three in a minute
    assert queues["arithmetic"]["out_rate"] >= 0.05
    assert all(queue["consumers"] >= 1 for queue in queues.values())

    waiting = [stack.submit_heavy(60) for _ in range(12)]
    try:
        heavy = wait_until(
            lambda: next(queue for queue in stack.http.get("/flask/queues").json()["data"] if queue["name"] == "heavy"),
            10,
            "the jobs are in the queue",
            lambda queue: queue["ready"] + queue["unacknowledged"] == 12,
        )
        assert heavy["unfinished"] == 12
    finally:
        for task_id in waiting:
            stack.http.delete(f"/flask/tasks/{task_id}")


def test_the_history_of_the_queues_shows_a_job_that_has_just_run(stack: Stack) -> None:
    def rates() -> list[float]:
        history = stack.http.get("/flask/queues/history").json()["data"]
        assert [sample["at"] for sample in history] == sorted(sample["at"] for sample in history)
        return [sample["queues"]["arithmetic"]["out_rate"] for sample in history if sample["at"] > started]

    started = time.time()
    stack.wait_state(stack.submit("add", a=1, b=2), "SUCCESS")
    wait_until(rates, 15, "a sample shows it", lambda rates: any(rate > 0 for rate in rates))


# --- the paths and words of other clients -----------------------------------------------------------------------------


def test_the_other_paths_lead_to_the_same_jobs(stack: Stack) -> None:
    answer = stack.http.post("/flask/api/tasks/submit", json={"task_type": "heavy", "input_params": {"seconds": 60}})
    assert answer.status_code == 202
    task_id = answer.json()["task_id"]
    stack.wait_state(task_id, "STARTED")
    here = f"/flask/api/tasks/{task_id}"

    def listed(status: str) -> set[str]:
        for path in ("/flask/api/tasks/", "/flask/api/tasks"):
            found = {job["task_id"] for job in stack.http.get(path, params={"status": status}).json()["data"]}
        return found

    assert task_id in listed("RUNNING")
    assert task_id in listed("STARTED")
    assert task_id not in listed("CANCELLED")
    assert stack.http.get(here).json()["task_id"] == task_id
    assert stack.http.post(f"{here}/retry").status_code == 409

    assert stack.http.delete(here).json()["state"] == "REVOKED"
    assert task_id in listed("CANCELLED")
    assert task_id in listed("FAILED,CANCELLED")
    assert task_id not in listed("RUNNING")
    assert stack.http.delete(here).status_code == 409

    again = stack.http.post(f"{here}/retry")
    assert again.status_code == 202
    assert again.headers["Location"] == f"/flask/tasks/{again.json()['task_id']}"
    assert stack.http.delete(again.headers["Location"]).status_code == 200


def test_a_failed_job_is_listed_as_failed(stack: Stack) -> None:
    task_id = stack.submit("divide", a=1, b=0)
    stack.wait_state(task_id, "FAILURE")
    jobs = stack.http.get("/flask/api/tasks/", params={"status": "FAILED"}).json()["data"]
    assert task_id in {job["task_id"] for job in jobs}
    # These words belong to those paths only.
    assert stack.http.get("/flask/tasks", params={"status": "FAILED"}).status_code == 422


def test_health_under_both_paths(stack: Stack) -> None:
    for path in ("/flask/healthz/background", "/flask/api/health"):
        answer = stack.http.get(path)
        assert (answer.status_code, answer.json()["rabbitmq"], answer.json()["ledger"]) == (200, "ok", "ok")
    answer = stack.http.get("/flask/healthz")
    assert answer.json().keys() == {"status", "timestamp"}
    assert datetime.fromisoformat(answer.json()["timestamp"]).tzinfo is not None


# --- the entrance, and errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/flask", "/flask/"])
def test_a_json_client_is_greeted_with_links_that_work(stack: Stack, path: str) -> None:
    answer = stack.http.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    greeting = answer.json()
    assert greeting.pop("message") == "Hello from flask."
    for name, link in greeting.items():
        assert stack.http.get(link).status_code in {200, 202}, name


#: Parameters of the kinds that need some. The filters fit no job.
NEEDED = {
    "add": {"a": 1, "b": 2},
    "divide": {"a": 1, "b": 2},
    "text": {"text": "x"},
    "cancel_jobs": {"created_to": "2000-01-01T00:00:00Z"},
    "retry_jobs": {"created_to": "2000-01-01T00:00:00Z"},
    "delete_failures": {"failure": "0123456789abcdef"},
}


@pytest.mark.parametrize("task_type", JOB_TYPES)
def test_every_kind_has_its_route_and_says_where_the_job_is(stack: Stack, task_type: str) -> None:
    answer = stack.http.post(f"/flask/{task_type}", json=NEEDED.get(task_type))
    assert answer.status_code == 202
    job = stack.http.get(answer.headers["Location"]).json()
    assert (job["task_id"], job["task_type"]) == (answer.json()["task_id"], task_type)
    stack.http.delete(answer.headers["Location"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "names"),
    [
        ("POST", "/flask/tasks", {"json": {}}, 422, "task_type"),
        ("POST", "/flask/tasks", {"json": {"task_type": "nap"}}, 422, "heavy, add, divide"),
        ("POST", "/flask/tasks", {"json": {"task_type": ["add"]}}, 422, "task_type"),
        ("POST", "/flask/tasks", {"json": {"task_type": "add"}}, 422, "input_params"),
        ("POST", "/flask/tasks", {"json": {"task_type": "heavy", "input_params": []}}, 422, "input_params"),
        ("POST", "/flask/tasks", {"json": {"task_type": "heavy", "priority": 1}}, 422, "priority"),
        ("POST", "/flask/tasks", {"json": "add"}, 422, "body"),
        ("POST", "/flask/tasks", {"content": b"[" * 100_000}, 400, "nested"),
        ("POST", "/flask/todos", {"content": b"text=x"}, 400, "JSON"),
        ("POST", "/flask/todos", {"content": b'{"text": "' + b"x" * 2_000_000 + b'"}'}, 413, "1 MB"),
        ("POST", "/flask/nap", {"json": {}}, 404, "not found"),
        ("GET", "/flask/todos/99999999999999999999999999", {}, 404, "99999999999999999999999999"),
        ("GET", "/flask/todos/-1", {}, 404, "not found"),
        ("GET", "/flask/todos/x", {}, 404, "not found"),
        ("GET", "/flask/api/tasks/unknown", {}, 404, "unknown"),
        ("GET", "/flask/api/tasks/?status=DONE", {}, 422, "status"),
        ("GET", "/flask/tasks?limit=0", {}, 422, "limit"),
        ("GET", "/flask/tasks?task_type=nap", {}, 422, "task_type"),
        ("GET", "/flask/status?task_id=", {}, 400, "task_id"),
        ("GET", "/flask/tasks/unknown/events", {}, 404, "unknown"),
        ("GET", "/flask/download/unknown", {}, 404, "unknown"),
        ("PUT", "/flask/tasks", {"json": {}}, 405, "not allowed"),
        ("DELETE", "/flask/todos", {}, 405, "not allowed"),
        ("GET", "/flask/add", {}, 405, "not allowed"),
    ],
)
def test_errors_are_problem_documents(
    stack: Stack, method: str, path: str, body: dict[str, Any], status: int, names: str
) -> None:
    answer = stack.http.request(method, path, **body)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert names in problem["detail"]
    if status == 405:
        assert "OPTIONS" in answer.headers["Allow"]
    if status == 422:
        assert problem["errors"][0].keys() == {"field", "message"}


@pytest.mark.parametrize(("method", "path"), [("TRACE", "/flask/tasks"), ("POST", "/")])
def test_what_nginx_refuses_is_a_problem_document_too(stack: Stack, method: str, path: str) -> None:
    answer = stack.http.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (405, 405)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_conflict_tells_the_state(stack: Stack) -> None:
    task_id = stack.submit("add", a=1, b=2)
    stack.wait_state(task_id, "SUCCESS")
    for answer in (
        stack.http.delete(f"/flask/tasks/{task_id}"),
        stack.http.post(f"/flask/tasks/{task_id}/retry"),
        stack.http.post(f"/flask/api/tasks/{task_id}/retry"),
    ):
        assert answer.status_code == 409
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["state"] == "SUCCESS"
