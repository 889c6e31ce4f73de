"""Jobs that go wrong end as FAILURE with a plain sentence, or are tried again; the worker lives on."""

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, misbehaving_worker, send

QUEUE = "export"


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[str]:
    """Return a container that runs the tasks of tests/support/misbehaving, in place of the usual worker."""
    with misbehaving_worker(stack, QUEUE) as name:
        yield name


def test_a_job_that_asks_for_it_is_tried_again_after_a_back_off(stack: Stack, worker: str) -> None:
    task_id = send(stack, worker, "flaky", queue=QUEUE, succeed_at=3)
    assert stack.wait_state(task_id, "SUCCESS")["result"] == 3
    [(attempts, retries)] = stack.ledger("SELECT attempts, retries FROM job WHERE id = ?", task_id)
    assert (attempts, retries) == (3, 2)
    past = stack.http.get(f"/flask/tasks/{task_id}").json()["past_attempts"]
    assert [attempt["number"] for attempt in past] == [1, 2]
    assert all(attempt["error"] and attempt["worker"] for attempt in past)


def test_a_job_that_has_used_up_its_retries_fails(stack: Stack, worker: str) -> None:
    task_id = send(stack, worker, "flaky", queue=QUEUE, succeed_at=100)
    assert stack.wait_state(task_id, "FAILURE", timeout=60)["result"] == "ConnectionError: nobody there"
    assert stack.ledger("SELECT attempts FROM job WHERE id = ?", task_id) == [(4,)]
    traceback = stack.http.get(f"/flask/tasks/{task_id}").json()["traceback"]
    assert traceback.rstrip().endswith("ConnectionError: nobody there")
    assert "celery/app/trace.py" not in traceback


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("broken", "KeyError: 'a name\\nthat is missing'"),
        ("wrong_result", "The result is not JSON: Object of type object is not JSON serializable."),
        ("endless", "Stopped: it ran longer than its limit of 2 seconds."),
        ("poison", "Given up: the worker process died 5 times while running this job."),
        ("hungry", "Given up: the worker process died 5 times while running this job."),
    ],
)
def test_a_job_with_a_bug_fails_with_a_sentence(stack: Stack, worker: str, task: str, sentence: str) -> None:
    task_id = send(stack, worker, task, queue=QUEUE)
    assert stack.wait_state(task_id, "FAILURE", timeout=90)["result"] == sentence
    # ... and the worker runs the next one.
    assert stack.wait_state(send(stack, worker, "flaky", queue=QUEUE, succeed_at=1), "SUCCESS")["result"] == 1
