"""The scripts: what they print, what they refuse, and that they may be run again."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.project import ROOT
from tests.support.stack import Stack, wait_until


def container_ids(stack: Stack) -> dict[str, str]:
    return {name: stack.inspect(name)["Id"] + stack.inspect(name)["State"]["StartedAt"] for name in stack.containers()}


def test_a_second_build_with_nothing_changed_restarts_nothing(stack: Stack) -> None:
    before = container_ids(stack)
    stack.run("./build.sh")
    assert container_ids(stack) == before


def test_workers_are_added_found_by_the_queues_renewed_and_removed(stack: Stack) -> None:
    done = stack.run("./launch_celery_worker.sh", "2", "--queues", "arithmetic", "--concurrency", "1")
    added = [f"{stack.celery}_2", f"{stack.celery}_3"]
    assert all(name in done.stdout for name in added)
    try:
        queues = {queue["name"]: queue for queue in json.loads(stack.run("./list_queues.sh", "--json").stdout)}
        assert queues["arithmetic"]["consumers"] == 3
        assert queues["heavy"]["consumers"] == 1
        wait_until(
            lambda: stack.http.get("/flask/healthz/background").json()["workers"], 10, "three report", lambda n: n == 3
        )
        # A change reaches them too, and they keep what they were started with.
        stack.run("./build.sh", LOG_MAX_SIZE="9m")
        for name in added:
            details = stack.inspect(name)
            assert details["HostConfig"]["LogConfig"]["Config"]["max-size"] == "9m"
            assert "arithmetic" in details["Config"]["Cmd"]
    finally:
        for name in added:
            stack.docker("rm", "--force", name)
        stack.run("./build.sh")


def test_queues_are_listed_for_people_and_for_programs(stack: Stack) -> None:
    table = stack.run("./list_queues.sh").stdout.splitlines()
    assert table[0].split() == ["queue", "ready", "unacknowledged", "consumers"]
    assert [line.split()[0] for line in table[1:]] == ["heavy", "export", "arithmetic"]
    rows = json.loads(stack.run("./list_queues.sh", "--json").stdout)
    assert [set(row) for row in rows] == [{"name", "ready", "unacknowledged", "consumers"}] * 3


def test_the_monitor_shows_a_growing_queue_in_plain_lines_and_leaves_nothing_behind(stack: Stack) -> None:
    waiting = [stack.submit_heavy(60) for _ in range(30)]
    monitor = subprocess.Popen(
        ["./monitor_queue.sh"], cwd=ROOT, env=_environment(stack), stdout=subprocess.PIPE, text=True
    )
    try:
        with monitor:
            assert monitor.stdout is not None
            line = next(line for line in monitor.stdout if "heavy jobs=30" in line)
            assert "workers=1" in line
            assert "in=" in line
            assert "until_empty=" in line
            monitor.send_signal(signal.SIGTERM)
    finally:
        for task_id in waiting:
            stack.http.delete(f"/flask/tasks/{task_id}")
    wait_until(
        lambda: stack.docker("top", stack.flask, "-o", "pid,args"),
        15,
        "it is gone",
        lambda top: "jobs.commands.monitor_queue" not in top,
    )


def _environment(stack: Stack) -> dict[str, str]:
    return os.environ | stack.env


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["0"], "0"),
        (["51"], "51"),
        (["two"], "two"),
        (["--queues", "light"], "light"),
        (["--concurrency", "none"], "none"),
        (["--colour"], "--colour"),
    ],
)
def test_a_wrong_argument_is_named_with_the_remedy(stack: Stack, arguments: list[str], says: str) -> None:
    refused = stack.run("./launch_celery_worker.sh", *arguments, check=False)
    assert refused.returncode != 0
    error, empty, *remedy = refused.stderr.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert empty == ""
    assert remedy
    assert len(stack.containers()) == 5


def test_a_port_in_use_is_told_before_anything_is_made(stack: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = stack.run(
            "./build.sh",
            check=False,
            PREFIX="warren_refused",
            PORT=str(taken.getsockname()[1]),
            DB_DIR=str(tmp_path / "db"),
            SECRETS_DIR=str(tmp_path / "secrets"),
        )
    assert refused.returncode != 0
    assert "in use" in refused.stderr
    assert "PORT=" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    assert stack.docker("ps", "--all", "--quiet", "--filter", "label=warren.stack=warren_refused") == ""


def test_stopping_what_does_not_run_is_no_error(stack: Stack, tmp_path: Path) -> None:
    done = stack.run("./stop.sh", PREFIX="warren_nothing", DB_DIR=str(tmp_path), SECRETS_DIR=str(tmp_path))
    assert done.returncode == 0


def test_scripts_that_look_into_the_stack_say_when_there_is_none(stack: Stack) -> None:
    for script in ("./list_queues.sh", "./monitor_queue.sh", "./launch_celery_worker.sh"):
        refused = stack.run(script, check=False, PREFIX="warren_nothing")
        assert refused.returncode != 0
        assert "./build.sh" in refused.stderr
