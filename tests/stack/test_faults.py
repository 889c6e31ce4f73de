"""What happens in one known situation after the other; tests/chaos breaks things at random moments of a load."""

import shutil
from collections import Counter

import pytest

from tests.support.stack import Stack, wait_until


def test_jobs_are_accepted_while_the_broker_is_down_and_run_when_it_is_back(stack: Stack) -> None:
    stack.docker("stop", stack.rabbitmq)
    try:
        accepted = [stack.submit_heavy() for _ in range(50)]
        assert {stack.status(task_id)["status"] for task_id in accepted} == {"PENDING"}
        answer = stack.http.get("/flask/healthz/background")
        assert answer.status_code == 503
        assert answer.json()["rabbitmq"] != "ok"
        listing = stack.run("./list_queues.sh", check=False)
        assert listing.returncode != 0
        assert listing.stderr.startswith("error: ")
    finally:
        stack.docker("start", stack.rabbitmq)
    for task_id in accepted:
        stack.wait_state(task_id, "SUCCESS", timeout=90)
    stack.wait_healthy()


def test_a_full_backlog_is_told_with_503_and_retry_after(stack: Stack) -> None:
    stack.run("./build.sh", BACKLOG_LIMIT="20")
    stack.docker("stop", stack.celery)
    try:
        answers = [stack.http.post("/flask/heavy", json={"seconds": 0}) for _ in range(60)]
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) == {202, 503}
        # Each of the two web processes counts its own until it counts them all again, about a second later.
        assert 20 <= codes[202] <= 40
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert int(refused.headers["Retry-After"]) > 0
        assert "backlog" in refused.json()["detail"]
        accepted = [answer.json()["task_id"] for answer in answers if answer.status_code == 202]
    finally:
        stack.docker("start", stack.celery)
        stack.run("./build.sh")
    for task_id in accepted:
        stack.wait_state(task_id, "SUCCESS", timeout=60)


@pytest.mark.parametrize(("how", "says"), [("moved", "is gone"), ("replaced", "was replaced")])
def test_a_ledger_whose_file_is_not_there_takes_no_jobs_and_says_so(stack: Stack, how: str, says: str) -> None:
    file, aside = stack.db / "backend.db", stack.db / "aside.db"
    accepted = stack.submit_heavy()
    stack.wait_state(accepted, "SUCCESS")
    file.rename(aside)
    try:
        if how == "replaced":
            shutil.copy(aside, file)
        for _ in range(4):  # both web processes
            refused = stack.http.post("/flask/heavy", json={"seconds": 0})
            assert refused.status_code == 503
            assert says in refused.json()["detail"]
            assert int(refused.headers["Retry-After"]) > 0
        health = stack.http.get("/flask/healthz/background")
        assert health.status_code == 503
        assert says in health.json()["ledger"]
    finally:
        aside.rename(file)
    assert stack.status(accepted)["status"] == "SUCCESS"
    stack.wait_state(stack.submit_heavy(), "SUCCESS", timeout=60)
    stack.wait_healthy()


def test_a_worker_that_is_stopped_puts_back_what_it_cannot_finish(stack: Stack) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    stack.docker("stop", stack.celery)
    try:
        # In time, before Docker would have killed it, and without counting against the job.
        assert stack.inspect(stack.celery)["State"]["ExitCode"] == 0
        assert stack.ledger("SELECT state, retries, deaths FROM job WHERE id = ?", task_id) == [("RETRY", 0, 0)]
    finally:
        stack.docker("start", stack.celery)
    wait_until_it_runs_again(stack, task_id)
    stack.http.delete(f"/flask/tasks/{task_id}")
    stack.wait_healthy()


def test_a_worker_that_was_given_up_for_dead_starts_anew(stack: Stack) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    starts = stack.logs(stack.celery).count("ready: ")
    pause_without_the_lock(stack, stack.celery)
    try:
        stack.wait_state(task_id, "RETRY")
    finally:
        stack.docker("unpause", stack.celery)
    wait_until_it_runs_again(stack, task_id)
    # Not beside the first run, in the same process as that one.
    wait_until(
        lambda: stack.logs(stack.celery).count("ready: "), 30, "the worker has started anew", lambda n: n == starts + 1
    )
    stack.http.delete(f"/flask/tasks/{task_id}")
    stack.wait_healthy()


def wait_until_it_runs_again(stack: Stack, task_id: str) -> None:
    """Wait until the second run of a job is under way."""
    wait_until(
        lambda: stack.http.get(f"/flask/tasks/{task_id}").json(),
        60,
        "it runs again",
        lambda job: job["state"] == "STARTED" and job["attempts"] == 2,
    )


def pause_without_the_lock(stack: Stack, container: str) -> None:
    """Pause a container at a moment when it does not write to the ledger, for then nobody else could."""

    def paused() -> bool:
        stack.docker("pause", container)
        if stack.http.post("/flask/add", json={"a": 1, "b": 1}).status_code == 202:
            return True
        stack.docker("unpause", container)
        return False

    wait_until(paused, 30, f"{container} is paused, and holds no lock")
