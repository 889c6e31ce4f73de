"""Workers come with the jobs and go without them, and no job is cut off or run twice."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.stack.test_metrics import web
from tests.stack.test_ownership import LIBRARY
from tests.stack.test_scripts import container_ids
from tests.support.project import ROOT
from tests.support.stack import Stack, run, wait_until

#: Short enough for a test, and long enough that a burst is not over before a worker has come.
QUICK = ("--max", "3", "--queues", "heavy", "--wait", "2", "--cooldown", "6")


@pytest.fixture(autouse=True)
def _only_the_first_worker(stack: Stack) -> Iterator[None]:
    """Remove what a failed test has left, and check that the first worker is the one from before."""
    before = container_ids(stack)[stack.celery]
    yield
    for name in added(stack):
        stack.docker("rm", "--force", name)
    assert container_ids(stack)[stack.celery] == before


def added(stack: Stack) -> list[str]:
    return [name for name in stack.containers() if name.startswith(f"{stack.celery}_")]


class Autoscaler:
    """The script, running, and what it has said."""

    def __init__(self, stack: Stack, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                ["ops/autoscale.sh", *arguments],
                cwd=ROOT,
                env=os.environ | stack.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.log.read_text()

    def wait_said(self, pattern: str, timeout: float = 60, *, times: int = 1) -> None:
        wait_until(self.said, timeout, f"it says {pattern}", lambda said: len(re.findall(pattern, said)) >= times)


@contextmanager
def autoscaling(stack: Stack, log: Path, *arguments: str) -> Iterator[Autoscaler]:
    """Run the script for the length of a block; when it ends, it says so at once."""
    script = Autoscaler(stack, log, *arguments)
    try:
        script.wait_said("watching heavy")
        yield script
    finally:
        script.process.terminate()
        code = script.process.wait(5)
    assert code == 143
    assert script.said().splitlines()[-1].endswith("ended; the workers stay as they are")


def burst(stack: Stack, count: int, seconds: float) -> list[str]:
    body = {"jobs": [{"task_type": "heavy", "input_params": {"seconds": seconds}}] * count}
    answer = stack.http.post("/flask/tasks/batch", json=body)
    assert answer.status_code == 202, answer.text
    return list(answer.json()["task_ids"])


def job(stack: Stack, task_id: str) -> dict[str, Any]:
    return dict(stack.http.get(f"/flask/tasks/{task_id}").json())


def check_each_ran_once(stack: Stack, ids: list[str]) -> None:
    for task_id in ids:
        stack.wait_state(task_id, "SUCCESS", timeout=120)
    assert {job(stack, task_id)["attempts"] for task_id in ids} == {1}


# --- the autoscaler ---------------------------------------------------------------------------------------------------


def test_a_burst_brings_workers_and_quiet_takes_them_away(stack: Stack, tmp_path: Path) -> None:
    with autoscaling(stack, tmp_path / "log", *QUICK) as script:
        ids = burst(stack, 120, 1)
        wait_until(lambda: added(stack), 90, "two workers are added", lambda names: len(names) == 2)
        told = web(stack)
        assert (told["warren_autoscaler_min_workers",], told["warren_autoscaler_max_workers",]) == (1, 3)
        assert told["warren_autoscaler_wanted_workers",] == 3
        looked = "warren_autoscaler_last_look_timestamp_seconds"
        wait_until(lambda: web(stack)[looked,], 30, "it looks again", lambda now: now > told[looked,])
        check_each_ran_once(stack, ids)
        wait_until(lambda: added(stack), 90, "they are retired", lambda names: names == [])
    said = script.said()
    assert re.search(r"1 -> 2 workers: \d+ jobs of heavy wait, the last of them for about \d:\d\d$", said, re.MULTILINE)
    assert re.search(r"-> 1 workers: for 0:06 never more jobs at once than \d heavy$", said, re.MULTILINE)
    assert len(re.findall(" workers: ", said)) <= 4, "it does each thing once"
    page = wait_until(lambda: status(stack), 30, "the ledger knows of the end", lambda told: told["status"] == "ended")
    changes = re.findall(r"\d+ -> \d+ workers", said)
    lines = [line["text"].partition(":")[0] for line in reversed(page["lines"]) if " workers: " in line["text"]]
    assert lines[-len(changes) :] == changes


def status(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.http.get("/flask/autoscaler").json()
    return found


def test_killed_in_the_middle_of_a_burst_it_goes_on(stack: Stack, tmp_path: Path) -> None:
    first = Autoscaler(stack, tmp_path / "first", *QUICK)
    try:
        ids = burst(stack, 120, 1)
        first.wait_said("1 -> 2 workers")
    finally:
        first.process.kill()
        first.process.wait()
    with autoscaling(stack, tmp_path / "second", *QUICK):
        wait_until(lambda: added(stack), 90, "the most are there", lambda names: len(names) == 2)
        check_each_ran_once(stack, ids)
        wait_until(lambda: added(stack), 90, "they are retired", lambda names: names == [])


def test_it_waits_while_others_change_the_stack_or_parts_of_it_are_away(stack: Stack, tmp_path: Path) -> None:
    with autoscaling(stack, tmp_path / "log", *QUICK) as script:
        second = stack.run("ops/autoscale.sh", *QUICK, check=False)
        assert f"error: another autoscaler is at work on the stack {stack.prefix}" in second.stderr

        stack.docker("stop", stack.flask)
        script.wait_said(f"waiting: .*{stack.flask}|waiting: Error.* is not running")
        stack.docker("start", stack.flask)
        stack.wait_healthy(stack.flask)
        wait_until(lambda: stack.http.get("/flask/healthz").status_code, 30, "it is back", lambda code: code == 200)

        holder = subprocess.Popen(
            ["bash", "-ec", LIBRARY + "take_lock; echo held; read -r"],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", **stack.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            ids = burst(stack, 60, 1)
            script.wait_said("waiting: another script is at work on the stack")
            assert added(stack) == []
            holder.communicate("\n")
        wait_until(lambda: added(stack), 60, "a worker is added")
        stack.run("./build.sh")  # is possible meanwhile
        check_each_ran_once(stack, ids)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--max"),
        (["--max", "51"], "51"),
        (["--max", "2", "--min", "0"], "--min: 0"),
        (["--max", "2", "--min", "3"], "--min 3 is above --max 2"),
        (["--max", "2", "--queues", "light"], "light"),
        (["--max", "2", "--wait", "soon"], "soon"),
        (["--max", "2", "--cooldown", "3001"], "3001"),
        (["--max", "2", "now"], "now"),
    ],
)
def test_a_wrong_argument_is_named_with_the_remedy(stack: Stack, arguments: list[str], says: str) -> None:
    _check_refused(stack.run("ops/autoscale.sh", *arguments, check=False), says)


def _check_refused(refused: subprocess.CompletedProcess[str], says: str) -> None:
    assert refused.returncode == 1
    error, empty, *remedy = refused.stderr.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert empty == ""
    assert remedy


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_retired_ends_its_jobs_and_gives_back_the_others(stack: Stack) -> None:
    stack.run("./launch_celery_worker.sh", "2", "--queues", "heavy", "--concurrency", "1")
    second, third = added(stack)
    ids = burst(stack, 24, 3)
    wait_until(partial(running_in, stack, third), 30, "it runs a job")
    last = running_in(stack, third)
    done = stack.run("ops/retire_workers.sh")
    assert third in done.stdout
    assert added(stack) == [second]
    assert {job(stack, task_id)["state"] for task_id in last} == {"SUCCESS"}
    stack.run("ops/retire_workers.sh", second)
    assert added(stack) == []
    assert "No worker was added" in stack.run("ops/retire_workers.sh").stdout
    check_each_ran_once(stack, ids)


def running_in(stack: Stack, worker: str) -> list[str]:
    states = "('STARTED', 'PROGRESS')"
    rows = stack.ledger(f"SELECT id FROM job WHERE worker LIKE ? AND state IN {states}", f"{worker}/%")
    return [row[0] for row in rows]


def test_what_runs_for_too_long_is_put_back(stack: Stack) -> None:
    stack.run(
        "./launch_celery_worker.sh", "--queues", "export", "--concurrency", "1", RETIRE_TIMEOUT="1", STOP_TIMEOUT="11"
    )
    (name,) = added(stack)
    # The first worker takes two of them at most.
    ids = [stack.submit("email_sending", num_emails=100, delay=5) for _ in range(3)]
    (task_id,) = wait_until(partial(running_in, stack, name), 60, "one of them runs there")
    for other in ids:
        if other != task_id:
            stack.http.delete(f"/flask/tasks/{other}")
    stack.run("ops/retire_workers.sh")
    assert added(stack) == []
    wait_until(lambda: job(stack, task_id)["attempts"], 60, "it runs again", lambda attempts: attempts == 2)
    stack.http.delete(f"/flask/tasks/{task_id}")


def test_the_first_worker_and_unknown_ones_are_refused(stack: Stack) -> None:
    before = container_ids(stack)
    _check_refused(
        stack.run("ops/retire_workers.sh", stack.celery, check=False), "the first worker, which always stays"
    )
    _check_refused(stack.run("ops/retire_workers.sh", f"{stack.celery}_9", check=False), f"{stack.celery}_9")
    _check_refused(stack.run("ops/retire_workers.sh", stack.rabbitmq, check=False), stack.rabbitmq)
    _check_refused(stack.run("ops/retire_workers.sh", "0", check=False), "0")
    _check_refused(stack.run("ops/retire_workers.sh", "--all", check=False), "--all")
    assert container_ids(stack) == before


def test_more_than_there_are_is_refused(stack: Stack) -> None:
    stack.run("./launch_celery_worker.sh")
    _check_refused(stack.run("ops/retire_workers.sh", "2", check=False), "only 1")
    stack.run("ops/retire_workers.sh", "1")
    assert added(stack) == []


def test_scripts_wait_for_an_autoscaler_that_is_just_adding(stack: Stack) -> None:
    command = LIBRARY + "take_lock autoscaler; take_lock; echo held; sleep 2; exec {lock}<&-; echo free; read -r"
    holder = subprocess.Popen(
        ["bash", "-ec", command],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **stack.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        run(["bash", "-ec", LIBRARY + "only_one_at_a_time"], env=stack.env)
        assert holder.stdout.readline() == "free\n"
        holder.communicate("\n")
