"""Jobs that go wrong end as FAILURE with a plain sentence, or are tried again; the worker lives on."""

from collections.abc import Iterator

import pytest

from tests.project import ROOT
from tests.stack.support import Stack, wait_until

QUEUE = "export"


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[str]:
    """Return a container that runs the tasks of tests/stack/misbehaving, in place of the usual worker."""
    name = f"{stack.prefix}_misbehaving_worker"
    details = stack.inspect(stack.celery)
    limits = details["HostConfig"]
    stack.docker("stop", stack.celery)
    environment = [f"--env={pair}" for pair in details["Config"]["Env"] if not pair.startswith("WORKER_NAME=")]
    secrets = [f"--volume={mount['Source']}:{mount['Target']}:ro" for mount in limits["Mounts"]]
    stack.docker(
        *("run", "--detach", "--name", name, f"--label=warren.stack={stack.prefix}", f"--network={stack.network}"),
        *(*environment, f"--env=WORKER_NAME={name}", *secrets, *[f"--volume={bind}" for bind in limits["Binds"]]),
        *("--tmpfs=/tmp", f"--volume={ROOT}/tests/stack/misbehaving:/app/misbehaving:ro", "--memory=400m"),
        *("--memory-swap=400m", "--restart=unless-stopped", f"{stack.prefix}_celery"),
        *("celery", "--app", "misbehaving", "worker", "--queues", QUEUE, "--concurrency", "2"),
        *("--hostname", f"worker@{name}", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    )
    try:
        stack.wait_healthy(name)
        yield name
    finally:
        stack.docker("rm", "--force", name)
        stack.docker("start", stack.celery)
        stack.wait_healthy(stack.celery)


def send(stack: Stack, worker: str, task: str, **parameters: object) -> str:
    code = (
        f"from misbehaving import {task}; "
        f"print({task}.apply_async(kwargs={parameters!r}, queue={QUEUE!r}, exchange='jobs', routing_key={QUEUE!r}).id)"
    )
    task_id = stack.docker("exec", worker, "python", "-c", code)
    wait_until(lambda: stack.http.get(f"/flask/tasks/{task_id}").status_code == 200, 20, "the job is claimed")
    return task_id


def test_a_job_that_asks_for_it_is_tried_again_after_a_back_off(stack: Stack, worker: str) -> None:
    task_id = send(stack, worker, "flaky", succeed_at=3)
    assert stack.wait_state(task_id, "SUCCESS")["result"] == 3
    [(attempts, retries)] = stack.ledger("SELECT attempts, retries FROM job WHERE id = ?", task_id)
    assert (attempts, retries) == (3, 2)
    past = stack.http.get(f"/flask/tasks/{task_id}").json()["past_attempts"]
    assert [attempt["number"] for attempt in past] == [1, 2]
    assert all(attempt["error"] and attempt["worker"] for attempt in past)


def test_a_job_that_has_used_up_its_retries_fails(stack: Stack, worker: str) -> None:
    task_id = send(stack, worker, "flaky", succeed_at=100)
    assert stack.wait_state(task_id, "FAILURE", timeout=60)["result"] == "ConnectionError: nobody there"
    assert stack.ledger("SELECT attempts FROM job WHERE id = ?", task_id) == [(4,)]


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
    task_id = send(stack, worker, task)
    assert stack.wait_state(task_id, "FAILURE", timeout=90)["result"] == sentence
    # ... and the worker runs the next one.
    assert stack.wait_state(send(stack, worker, "flaky", succeed_at=1), "SUCCESS")["result"] == 1
