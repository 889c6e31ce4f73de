"""The HTTP API beyond single jobs: keys, schedules, lists, to-dos, queues, other paths, errors."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jobs.catalogue import JOB_TYPES, QUEUES
from tests.stack.support import Stack, wait_until

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
    assert timedelta() <= times(job, "started_at") - moment < timedelta(seconds=3)


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
    moment = datetime.now(UTC) + timedelta(seconds=1)
    task_id = submit(stack, ADD | {"run_at": moment.isoformat()}).json()["task_id"]
    assert stack.http.delete(f"/flask/tasks/{task_id}").json()["state"] == "REVOKED"
    time.sleep(3)
    job = stack.http.get(f"/flask/tasks/{task_id}").json()
    assert (job["state"], job["attempts"], job["started_at"]) == ("REVOKED", 0, None)


@pytest.mark.parametrize(
    "run_at", ["tomorrow", "2030-01-01T00:00:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", 0, {}]
)
def test_a_time_that_is_none_is_refused(stack: Stack, run_at: Any) -> None:
    answer = submit(stack, ADD | {"run_at": run_at})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "run_at"


# --- lists of jobs ----------------------------------------------------------------------------------------------------


def walk(stack: Stack, path: str, **query: str) -> list[dict[str, Any]]:
    """Return what all pages hold together."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = stack.http.get(path, params=query | ({"cursor": cursor} if cursor else {})).json()
        found += page["data"]
        cursor = page["next"]
    return found


def test_a_filter_gives_those_jobs_and_no_other(stack: Stack) -> None:
    done = stack.submit("add", a=1, b=1)
    failed = stack.submit("divide", a=1, b=0)
    later = submit(stack, ADD | {"run_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}).json()["task_id"]
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


def states() -> list[str]:
    return ["PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]


def test_pages_hold_each_job_once_while_new_ones_come(stack: Stack) -> None:
    ids = [stack.submit("add", a=number, b=0) for number in range(5)]
    first = stack.http.get("/flask/tasks", params={"limit": "3"}).json()
    stack.submit("add", a=5, b=0)
    second = stack.http.get("/flask/tasks", params={"limit": "3", "cursor": first["next"]}).json()
    assert [job["task_id"] for job in first["data"] + second["data"]][:5] == ids[::-1]


def test_the_last_page_has_no_next(stack: Stack) -> None:
    everything = walk(stack, "/flask/tasks", limit="500")
    [(count,)] = stack.ledger("SELECT count(*) FROM job")
    assert len(everything) == len({job["task_id"] for job in everything}) == count


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


# --- to-dos -----------------------------------------------------------------------------------------------------------


def test_a_todo_from_beginning_to_end(stack: Stack) -> None:
    made = stack.http.post("/flask/todos", json={"text": "water the plants"})
    assert made.status_code == 201
    todo = made.json()
    assert (todo["text"], todo["done"]) == ("water the plants", False)
    assert abs(times(todo, "created_at") - datetime.now(UTC)) < timedelta(seconds=10)
    here = made.headers["Location"]
    assert here == f"/flask/todos/{todo['id']}"
    assert stack.http.get(here).json() == todo

    assert stack.http.patch(here, json={"done": True}).json() == todo | {"done": True}
    assert stack.http.patch(here, json={"text": "Zähler ablesen 🌱"}).json() == todo | {
        "done": True,
        "text": "Zähler ablesen 🌱",
    }
    removed = stack.http.delete(here)
    assert (removed.status_code, removed.content) == (204, b"")
    for answer in (stack.http.get(here), stack.http.patch(here, json={"done": True}), stack.http.delete(here)):
        assert answer.status_code == 404
        assert str(todo["id"]) in answer.json()["detail"]


def test_a_todo_has_1_to_500_characters(stack: Stack) -> None:
    for text in ("x", "ß" * 500, "🌱" * 500):
        made = stack.http.post("/flask/todos", json={"text": text, "done": True})
        assert made.status_code == 201
        assert made.json()["text"] == text
    for body in ({"text": ""}, {"text": "x" * 501}, {"text": "a\0b"}, {"text": 5}, {"text": None}, {}):
        answer = stack.http.post("/flask/todos", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["field"] == "text"
    for done in ("maybe", 1):
        answer = stack.http.post("/flask/todos", json={"text": "x", "done": done})
        assert answer.json()["errors"][0]["field"] == "done"


def test_a_change_of_nothing_is_refused(stack: Stack) -> None:
    here = stack.http.post("/flask/todos", json={"text": "stay"}).headers["Location"]
    for body in ({}, {"text": ""}, {"text": "x" * 501}, {"done": "no"}, {"id": 7}):
        assert stack.http.patch(here, json=body).status_code == 422, body
    assert stack.http.get(here).json()["text"] == "stay"


def test_todos_are_listed_in_order_and_in_pages(stack: Stack) -> None:
    ids = [
        stack.http.post("/flask/todos", json={"text": f"number {number}", "done": number % 2 == 0}).json()["id"]
        for number in range(7)
    ]
    everything = [todo["id"] for todo in walk(stack, "/flask/todos", limit="3")]
    assert everything == sorted(everything)
    assert everything[-7:] == ids
    assert [todo["id"] for todo in walk(stack, "/flask/todos", done="true")][-4:] == ids[::2]
    assert [todo["id"] for todo in walk(stack, "/flask/todos", done="false")][-3:] == ids[1::2]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "cursor=x", "done=perhaps", "colour=red"])
def test_a_wrong_query_of_todos_is_named(stack: Stack, query: str) -> None:
    answer = stack.http.get(f"/flask/todos?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


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


@pytest.mark.parametrize("task_type", JOB_TYPES)
def test_every_kind_has_its_route_and_says_where_the_job_is(stack: Stack, task_type: str) -> None:
    params = {"a": 1, "b": 2} if task_type in {"add", "divide"} else {"text": "x"} if task_type == "text" else None
    answer = stack.http.post(f"/flask/{task_type}", json=params)
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
