"""The scripts: what they print, what they refuse, and that they may be run again."""

import json
import os
import signal
import socket
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.support.project import ROOT, commands
from tests.support.stack import Stack, run, wait_until
from tests.support.terminal import copy_project


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
    assert [set(row) for row in rows] == [{"name", "ready", "unacknowledged", "consumers", "paused"}] * 3


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
    assert len(stack.containers()) == 6


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
    for script in ("./list_queues.sh", "./monitor_queue.sh", "./launch_celery_worker.sh", "ops/rotate_secrets.sh"):
        refused = stack.run(script, check=False, PREFIX="warren_nothing")
        assert refused.returncode != 0
        assert "./build.sh" in refused.stderr


@pytest.mark.parametrize("script", [*commands(), Path("bench/textbook/build.sh")], ids=str)
def test_help_is_asked_for_in_one_way(script: Path) -> None:
    usage = run([f"./{script}", "--help"]).stdout
    assert usage.startswith("Usage: ")
    assert run([f"./{script}", "-h"]).stdout == usage


@pytest.mark.parametrize(
    ("script", "arguments"),
    [("./test.sh", ["--jobs", "many"]), ("./test.sh", ["all"]), ("ops/python_env.sh", []), ("./stop.sh", ["--all"])],
)
def test_scripts_refuse_in_one_way(script: str, arguments: list[str]) -> None:
    refused = run([script, *arguments], check=False)
    assert refused.returncode == 1
    error, empty, remedy = refused.stderr.splitlines()
    assert (error[:7], empty) == ("error: ", "")
    assert remedy == f"See: {script} --help"


def test_all_is_formatted_by_one_command(tmp_path: Path) -> None:
    copy = tmp_path / "warren"
    copy_project(copy)
    (copy / ".venvs").symlink_to(ROOT / ".venvs")
    (copy / "jobs/ugly.py").write_text("import os, sys\nprint( sys.path )\n")
    (copy / "ops/ugly.sh").write_text("if true ; then\n    echo yes\nfi\n")
    (copy / "ops/ugly").write_text("#!/bin/bash\nif true ; then\n    echo yes\nfi\n")
    run(["./test.sh", "fix"], cwd=copy)
    assert (copy / "jobs/ugly.py").read_text() == "import sys\n\nprint(sys.path)\n"
    assert (copy / "ops/ugly.sh").read_text() == "if true; then\n\techo yes\nfi\n"
    assert (copy / "ops/ugly").read_text() == "#!/bin/bash\nif true; then\n\techo yes\nfi\n"


# --- what build.sh finds out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ledger", "refused"),
    [
        ("virtiofs", "sqlite", True),
        ("fuse.sshfs", "sqlite", True),
        ("nfs4", "sqlite", True),
        ("ext4", "sqlite", False),
        ("nfs4", "postgresql", False),
    ],
)
def test_a_file_system_that_would_lose_data_is_refused(kind: str, ledger: str, refused: bool) -> None:
    done = run(
        ["bash", "-ec", f'source ops/lib.sh; source ops/preflight.sh; check_file_system "{kind}" /somewhere'],
        env={"LEDGER": ledger},
        check=False,
    )
    assert ("/somewhere is on a" in done.stderr) is refused
    assert (done.returncode != 0) is refused


def test_the_address_of_the_ledger_is_checked_and_its_password_is_not_shown(stack: Stack) -> None:
    refused = stack.run("./build.sh", check=False, DATABASE_URL="postgresql:user:pass_word@host")
    assert refused.returncode != 0
    assert "DATABASE_URL" in refused.stderr
    assert "pass_word" not in refused.stdout + refused.stderr


def test_when_the_migration_fails_nothing_has_been_renewed(stack: Stack) -> None:
    before, address = container_ids(stack), stack.secrets / "database_url"
    known = address.read_text()
    address.unlink()  # or another address would be refused before it is tried
    try:
        refused = stack.run("./build.sh", check=False, DATABASE_URL="sqlite:////nowhere/backend.db", LOG_MAX_SIZE="8m")
        assert refused.returncode != 0
        assert "Nothing that runs was touched" in refused.stderr
        assert container_ids(stack) == before
        assert not address.exists()
    finally:
        run(["bash", "-c", 'mv "$0.new" "$0"', str(address)])  # with its owner and mode
        address.write_text(known)


def test_the_smoke_check_sends_a_job_that_some_worker_takes(stack: Stack) -> None:
    waiting = [stack.submit_heavy(0) for _ in range(3)]
    try:
        done = stack.run("./build.sh", CELERY_QUEUES="arithmetic")
        assert "smoke check: one add job" in done.stdout
    finally:
        stack.run("./build.sh")
    for task_id in waiting:
        stack.wait_state(task_id, "SUCCESS")


def test_the_smoke_check_may_stand_in_line_but_not_before_a_worker_that_hangs(stack: Stack) -> None:
    waiting = [stack.submit_heavy(60) for _ in range(12)]
    try:
        wait_until(
            lambda: stack.http.get("/flask/tasks", params={"status": "STARTED"}).json()["data"],
            30,
            "all places are taken",
            lambda running: len(running) == 4,
        )
        stack.run("./build.sh")  # it is only busy
        _signal(stack, stack.celery, "STOP")
        refused = stack.run("./build.sh", check=False)
        assert refused.returncode != 0
        assert "error: " in refused.stdout + refused.stderr
    finally:
        _signal(stack, stack.celery, "CONT")
        for task_id in waiting:
            stack.http.delete(f"/flask/tasks/{task_id}")
        stack.wait_healthy()


def _signal(stack: Stack, container: str, name: str) -> None:
    """Send a signal to the main process of a container; one that its own processes may not send."""
    details = stack.inspect(container)
    command = ["bash", "-c", f"kill -{name} {details['State']['Pid']}"]
    stack.docker("run", "--rm", "--pid=host", "--network=none", "--user=root", details["Image"], *command)


# --- what starts again what Docker could not start: tests/cluster has machines that come back -------------------------


def test_systemd_is_told_of_a_script_that_is_there(stack: Stack) -> None:
    unit = ConfigParser()
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string(stack.run("ops/start_again.sh", "--unit").stdout)
    assert os.access(unit["Service"]["ExecStart"], os.X_OK)
    assert f"PREFIX={stack.prefix}" in unit["Service"]["Environment"].split()
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_what_was_stopped_by_hand_stays_stopped(stack: Stack) -> None:
    stack.docker("stop", stack.beat)
    try:
        assert stack.run("ops/start_again.sh", "--once").stdout == ""
        assert stack.inspect(stack.beat)["State"]["Status"] == "exited"
    finally:
        stack.docker("start", stack.beat)
    stack.wait_healthy(stack.beat)
