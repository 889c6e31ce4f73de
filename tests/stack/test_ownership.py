"""What belongs to whom: no script takes over or removes what is another stack's, or another folder's."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.test_scripts import container_ids
from tests.support.project import ROOT
from tests.support.stack import BUILD_TIMEOUT, PREFIX, Stack, run
from tests.support.terminal import copy_project

#: A stack that is only named, or of which there is only what a test makes.
OTHER = f"{PREFIX}_other"

LIBRARY = "source ./settings.sh; source ops/lib.sh; source ops/ownership.sh; source ops/containers.sh; "


@pytest.fixture
def other(docker_engine: None, tmp_path: Path) -> Iterator[Stack]:
    """Return another stack, not built, with a folder of its own; what was made of it is removed afterwards."""
    stack = Stack(OTHER, tmp_path)
    stack.clear()
    yield stack
    stack.clear()


def test_each_stack_has_a_folder_of_secrets() -> None:
    folders = [
        run(["bash", "-c", 'source ./settings.sh; echo "$SECRETS_DIR"'], env={"PREFIX": prefix}).stdout.strip()
        for prefix in ("one", "two")
    ]
    assert folders == [f"{ROOT}/secrets/one", f"{ROOT}/secrets/two"]


# --- folders and volumes ----------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_purge_leaves_what_another_stack_owns(stack: Stack) -> None:
    before = contents(stack.secrets)
    done = stack.run("./stop.sh", "--purge", PREFIX=OTHER)
    assert contents(stack.secrets) == before
    assert (stack.db / "backend.db").exists()
    left = [line for line in done.stdout.splitlines() if line.startswith("Left alone: ")]
    assert len(left) == 3
    assert all(line.endswith(f"belongs to the stack {stack.prefix}") for line in left)


@pytest.mark.parametrize("setting", ["DB_DIR", "EXPORTS_DIR", "SECRETS_DIR"])
def test_a_folder_of_another_stack_is_refused_before_anything_is_made(stack: Stack, other: Stack, setting: str) -> None:
    taken = {"EXPORTS_DIR": str(stack.db / "exports"), **stack.env}[setting]
    refused = run(["./build.sh"], env=other.env | {setting: taken}, check=False)
    assert refused.returncode != 0
    assert f"error: {setting} {taken} belongs to the stack {stack.prefix}, not to {OTHER}" in refused.stderr
    assert f"{setting}=" in refused.stderr.splitlines()[2]
    assert not other.db.exists()
    assert other.containers() == []


def test_a_volume_of_another_stack_is_refused_and_left_alone(other: Stack) -> None:
    volume = f"{OTHER}_volume"
    other.docker("volume", "create", "--label", "warren.stack=somebody", volume)
    try:
        refused = other.run("./build.sh", check=False, DB_DIR=volume)
        assert "belongs to the stack somebody" in refused.stderr
        done = other.run("./stop.sh", "--purge", DB_DIR=volume)
        assert f"ledger in {volume}, which belongs to the stack somebody" in done.stdout
        other.docker("volume", "inspect", volume)
    finally:
        other.docker("volume", "rm", volume)


def test_data_that_nobody_has_marked_is_left_alone_until_it_is_adopted(other: Stack) -> None:
    ledger = other.db / "backend.db"
    other.db.mkdir()
    ledger.touch()
    done = other.run("./stop.sh", "--purge")
    assert ledger.exists()
    assert f"Left alone: ledger in {other.db}, which has no mark" in done.stdout
    run(["bash", "-ec", LIBRARY + 'claim "$DB_DIR"'], env=other.env)  # as build.sh does
    done = other.run("./stop.sh", "--purge")
    assert "Left alone" not in done.stdout
    assert list(other.db.iterdir()) == []


def test_a_volume_is_marked_and_purged(other: Stack) -> None:
    volume = f"{OTHER}_volume"
    run(["bash", "-ec", LIBRARY + 'claim "$DB_DIR"'], env=other.env | {"DB_DIR": volume})
    other.run("./stop.sh", "--purge", DB_DIR=volume)
    assert other.docker("volume", "ls", "--quiet", "--filter", f"name={volume}") == ""


# --- folders of the project -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["./build.sh", "./launch_celery_worker.sh", "ops/rotate_secrets.sh"])
def test_a_second_copy_of_the_project_does_not_touch_the_stack(stack: Stack, tmp_path: Path, script: str) -> None:
    copy_project(tmp_path / "warren")
    copy = Stack(stack.prefix, tmp_path, root=tmp_path / "warren")
    before = container_ids(stack)
    refused = copy.run(script, check=False, PORT=str(stack.port))
    assert refused.returncode != 0
    assert f"error: the stack {stack.prefix} belongs to another folder: {ROOT}" in refused.stderr
    assert "PREFIX=" in refused.stderr
    assert "./build.sh --take-over" in refused.stderr
    assert container_ids(stack) == before
    assert not copy.db.exists()


def leave_by(home: str, stack: Stack) -> None:
    """Make what a stack that was built in another folder of the project would have left."""
    labels = ["--label", f"warren.stack={stack.prefix}", "--label", f"warren.dir={home}"]
    stack.docker("network", "create", *labels, stack.network)
    stack.docker("volume", "create", *labels, f"{stack.prefix}_rabbitmq_data")
    stack.docker(
        *("run", "--detach", "--name", stack.rabbitmq, *labels, "--label", "warren.role=rabbitmq"),
        *("--network", stack.network, "--init", "warren_base:trixie", "sleep", "600"),
    )


def test_it_may_stop_the_stack_but_not_purge_its_data(stack: Stack, other: Stack) -> None:
    leave_by("/another/folder", other)
    run(["bash", "-ec", LIBRARY + 'claim "$DB_DIR"'], env=other.env)
    (other.db / "backend.db").touch()
    done = other.run("./stop.sh", "--purge")
    assert "belongs to the folder /another/folder" in done.stdout
    assert other.containers() == []
    assert other.docker("volume", "ls", "--quiet", "--filter", f"name={OTHER}_rabbitmq_data") != ""
    assert (other.db / "backend.db").exists()


@pytest.mark.timeout(BUILD_TIMEOUT)
def test_it_may_take_the_stack_over_when_told_to(stack: Stack, other: Stack) -> None:
    leave_by("/another/folder", other)
    refused = other.run("./build.sh", check=False)
    assert "belongs to another folder: /another/folder" in refused.stderr
    other.run("./build.sh", "--take-over", timeout=BUILD_TIMEOUT)
    homes = {other.inspect(name)["Config"]["Labels"]["warren.dir"] for name in other.containers()}
    assert homes == {str(ROOT)}
    assert len(other.containers()) == 6
    other.run("./build.sh")  # it is ours now
    other.run("./stop.sh", "--purge")
    assert not other.secrets.exists()
    assert other.docker("volume", "ls", "--quiet", "--filter", f"label=warren.stack={OTHER}") == ""


# --- one at a time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["./build.sh", "./stop.sh", "./launch_celery_worker.sh", "ops/rotate_secrets.sh"])
def test_only_one_script_changes_a_stack_at_a_time(stack: Stack, script: str) -> None:
    before = container_ids(stack)
    holder = subprocess.Popen(
        ["bash", "-ec", LIBRARY + "only_one_at_a_time; echo held; read -r"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **stack.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused = stack.run(script, check=False)
        holder.communicate("\n")
    assert refused.returncode != 0
    assert f"another script is at work on the stack {stack.prefix}" in refused.stderr
    assert container_ids(stack) == before
