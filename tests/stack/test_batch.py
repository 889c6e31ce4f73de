"""Many jobs in one request: all of them are accepted, or none."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.stack import Stack

ADD = {"task_type": "add", "input_params": {"a": 1, "b": 2}}


def submit(stack: Stack, jobs: Any, **headers: str) -> httpx.Response:
    return stack.http.post("/flask/tasks/batch", json={"jobs": jobs}, headers=headers)


def count(stack: Stack) -> int:
    [(jobs,)] = stack.ledger("SELECT count(*) FROM job")
    return int(jobs)


def test_a_thousand_jobs_of_many_kinds_are_accepted_in_order_and_run(stack: Stack) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    jobs: list[dict[str, Any]] = [{"task_type": "add", "input_params": {"a": number, "b": 1}} for number in range(997)]
    jobs += [{"task_type": "text", "input_params": {"text": "x"}}, {"task_type": "heavy", "run_at": later}, ADD]
    answer = submit(stack, jobs)
    assert answer.status_code == 202, answer.text
    ids = answer.json()["task_ids"]
    assert len(ids) == len(set(ids)) == 1000
    for number in (0, 1, 500, 996):
        assert stack.wait_state(ids[number], "SUCCESS", timeout=60)["result"] == number + 1
    assert stack.wait_state(ids[997], "SUCCESS")["result"] == "X"
    assert stack.http.get(f"/flask/tasks/{ids[998]}").json()["state"] == "PENDING"
    assert stack.wait_state(ids[999], "SUCCESS")["result"] == 3
    stack.http.delete(f"/flask/tasks/{ids[998]}")
    seqs = [seq for (seq,) in stack.ledger("SELECT seq FROM job WHERE id IN (?, ?, ?) ORDER BY seq", *ids[:3])]
    assert seqs == list(range(seqs[0], seqs[0] + 3))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"task_type": "add", "input_params": {"a": "x", "b": 2}}, "jobs.17.input_params.a"),
        ({"task_type": "add"}, "jobs.17.input_params"),
        ({"task_type": "nap"}, "jobs.17.task_type"),
        ({"input_params": {}}, "jobs.17.task_type"),
        ({"task_type": "heavy", "run_at": "soon"}, "jobs.17.run_at"),
        ({"task_type": "heavy", "priority": 1}, "jobs.17.priority"),
        ({"task_type": "export", "input_params": {"filters": {"done": 1}}}, "jobs.17.input_params.filters.done"),
    ],
)
def test_one_wrong_job_refuses_all_and_is_named(stack: Stack, wrong: dict[str, Any], field: str) -> None:
    before = count(stack)
    answer = submit(stack, [ADD] * 17 + [wrong] + [ADD] * 2)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert count(stack) == before


@pytest.mark.parametrize(
    ("jobs", "field"), [([], "jobs"), ([ADD] * 1001, "jobs"), ({}, "jobs"), ([1], "jobs.0"), (None, "jobs")]
)
def test_what_is_no_batch_is_refused(stack: Stack, jobs: Any, field: str) -> None:
    before = count(stack)
    answer = submit(stack, jobs)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert count(stack) == before


def test_a_key_counts_for_the_whole_batch(stack: Stack) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = submit(stack, [ADD] * 3, **headers)
    after = count(stack)
    second = submit(stack, [ADD] * 3, **headers)
    assert first.json() == second.json()
    assert count(stack) == after
    for jobs in ([ADD] * 2, [ADD] * 4):
        answer = submit(stack, jobs, **headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    for task_id in first.json()["task_ids"]:
        stack.wait_state(task_id, "SUCCESS")
