"""Priorities, paused queues, drained workers, and jobs that act on all jobs that match."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import Stack, wait_until


@pytest.fixture
def paused(stack: Stack) -> Iterator[str]:
    """The queue `arithmetic`, paused."""
    assert stack.http.post("/flask/queues/arithmetic/pause").json() == {"name": "arithmetic", "paused": True}
    yield "arithmetic"
    stack.http.post("/flask/queues/arithmetic/resume")


def submit(stack: Stack, count: int = 1, priority: str = "normal", **more: Any) -> list[str]:
    job = {"task_type": "add", "input_params": {"a": 1, "b": 2}, "priority": priority, **more}
    answer = stack.http.post("/flask/tasks/batch", json={"jobs": [job] * count})
    assert answer.status_code == 202, answer.text
    return list(answer.json()["task_ids"])


def states(stack: Stack, ids: list[str]) -> set[str]:
    return {stack.status(task_id)["status"] for task_id in ids}


def queue(stack: Stack, name: str) -> dict[str, Any]:
    return next(each for each in stack.http.get("/flask/queues").json()["data"] if each["name"] == name)


def test_no_job_of_a_paused_queue_starts_until_it_is_resumed(stack: Stack, paused: str) -> None:
    ids = submit(stack, 30)
    # Others go on; these have come to a worker, which holds them.
    stack.wait_state(stack.submit_heavy(), "SUCCESS")
    wait_until(lambda: queue(stack, paused)["ready"] == 0, 30, "no message waits")
    stack.docker("restart", "--time", "20", stack.celery, stack.beat, stack.flask, timeout=90)
    stack.wait_healthy(stack.celery, stack.beat, stack.flask)
    stack.wait_state(stack.submit_heavy(), "SUCCESS")
    assert states(stack, ids) == {"PENDING"}
    assert queue(stack, paused)["paused"]
    assert re.search(r"^arithmetic .* paused$", stack.run("./list_queues.sh").stdout, re.MULTILINE)
    assert "until_empty=paused" in stack.run("./monitor_queue.sh", "--count", "1").stdout
    page = stack.http.get("/flask", headers={"Accept": "text/html"}).text
    assert "<code>arithmetic</code> is paused" in page
    # Run again, build.sh does not wait for a job that cannot run.
    assert "Warren is up" in stack.run("./build.sh").stdout

    assert stack.http.post(f"/flask/queues/{paused}/resume").json() == {"name": paused, "paused": False}
    for task_id in ids:
        assert stack.wait_state(task_id, "SUCCESS")["result"] == 3
    assert [attempts for (attempts,) in stack.ledger(f"SELECT attempts FROM job WHERE id IN {tuple(ids)}")] == [1] * 30


def test_urgent_jobs_go_first(stack: Stack, paused: str) -> None:
    # Beat publishes what has gathered, so this is true also of what beat publishes.
    normal, urgent = submit(stack, 300), submit(stack, 20, "high")
    assert stack.http.get(f"/flask/tasks/{urgent[0]}").json()["priority"] == "high"
    stack.http.post(f"/flask/queues/{paused}/resume")
    for task_id in (*normal, *urgent):
        stack.wait_state(task_id, "SUCCESS")
    order = [task_id for (task_id,) in stack.ledger("SELECT id FROM job WHERE type = 'add' ORDER BY started_at")]
    places = [order.index(task_id) for task_id in urgent]
    rest = [order.index(task_id) for task_id in normal]
    assert sum(places) / len(places) < min(rest) + 100


def test_an_unknown_queue_is_told(stack: Stack) -> None:
    for action in ("pause", "resume"):
        answer = stack.http.post(f"/flask/queues/mine/{action}")
        assert answer.status_code == 404
        assert "'mine'" in answer.json()["detail"]


def test_all_that_match_are_cancelled_and_run_again(stack: Stack, paused: str) -> None:
    ids = submit(stack, 1000)
    other = stack.submit("export")
    # It is of the same queue, and runs all the same: it acts on other jobs.
    answer = stack.http.post("/flask/tasks/cancel", json={"queue": paused, "status": ["PENDING"]})
    assert answer.status_code == 202
    done = stack.wait_state(answer.json()["task_id"], "SUCCESS", timeout=60)
    assert done["result"]["matched"] == done["result"]["cancelled"] >= 1000
    assert states(stack, [ids[0], ids[500], ids[-1]]) == {"REVOKED"}
    assert stack.wait_state(other, "SUCCESS")

    stack.http.post(f"/flask/queues/{paused}/resume")
    newest = stack.ledger("SELECT max(seq) FROM job")[0][0]
    first = stack.http.get(f"/flask/tasks/{ids[0]}").json()["created_at"]
    body = {"task_type": "add", "status": ["REVOKED"], "created_from": first}
    again = stack.http.post("/flask/tasks/retry", json=body)
    done = stack.wait_state(again.json()["task_id"], "SUCCESS", timeout=60)
    assert done["result"]["submitted"] == 1000
    new = [task_id for (task_id,) in stack.ledger("SELECT id FROM job WHERE type = 'add' AND seq > ?", newest)]
    assert len(new) == 1000
    for task_id in new:
        stack.wait_state(task_id, "SUCCESS", timeout=60)


def test_a_group_of_failures_is_run_again_once(stack: Stack) -> None:
    ids = [stack.submit("divide", a=number, b=0) for number in (1, 2)]
    for task_id in ids:
        stack.wait_state(task_id, "FAILURE")
    key = stack.http.get(f"/flask/tasks/{ids[0]}").json()["failure"]
    group = next(each for each in stack.http.get("/flask/failures").json()["data"] if each["key"] == key)
    assert (group["task_type"], group["message"]) == ("divide", "Division by zero: b must not be N.")
    assert group["count"] >= 2
    assert sum(group["history"]) >= 2
    listed = stack.http.get("/flask/tasks", params={"failure": key, "limit": "500"}).json()["data"]
    assert {*ids} <= {job["task_id"] for job in listed}
    for _ in range(2):
        bulk = stack.http.post("/flask/tasks/retry", json={"failure": key}).json()["task_id"]
        stack.wait_state(bulk, "SUCCESS", timeout=60)
        for task_id in ids:
            assert len(stack.http.get(f"/flask/tasks/{task_id}").json()["retried_as"]) == 1


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_filter_that_says_nothing_is_refused(stack: Stack, action: str) -> None:
    answer = stack.http.post(f"/flask/tasks/{action}", json={})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body: Give at least one of task_type, queue, ")


def test_a_drained_worker_ends_what_it_runs_and_takes_jobs_again_when_it_is_restarted(stack: Stack) -> None:
    def worker() -> dict[str, Any]:
        found: dict[str, Any] = stack.http.get(f"/flask/workers/{stack.celery}").json()
        return found

    def taken() -> set[int]:
        return {each["consumers"] for each in stack.http.get("/flask/queues").json()["data"]}

    assert worker()["memory"] > 2**20
    runs = stack.submit_heavy(5)
    stack.wait_state(runs, "STARTED")
    try:
        assert stack.http.post(f"/flask/workers/{stack.celery}/drain").json() == {"name": stack.celery, "queues": []}
        wait_until(taken, 30, "it takes jobs from no queue", lambda consumers: consumers == {0})
        (waits,) = submit(stack)
        stack.wait_state(runs, "SUCCESS")
        assert stack.status(waits)["status"] == "PENDING"
        assert stack.inspect(stack.celery)["State"]["Running"], "Docker has nothing to start again"
    finally:
        stack.docker("restart", "--time", "20", stack.celery, timeout=90)
    stack.wait_state(waits, "SUCCESS", timeout=60)
