"""Backups of a running stack, and what they bring back: into the same stack, and into one on a new machine."""

import shutil
import sqlite3
import stat
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.stack.test_scripts import container_ids
from tests.support.project import ROOT
from tests.support.soundness import faults
from tests.support.stack import PREFIX, Stack, run, wait_until

#: A stack that is not there before the test.
NEW = f"{PREFIX}_new"


@pytest.fixture(autouse=True)
def no_backups_left() -> Iterator[None]:
    """Remove what restoring has backed up first."""
    yield
    for prefix in (PREFIX, NEW):
        shutil.rmtree(ROOT / "backups" / prefix, ignore_errors=True)


def back_up(stack: Stack, folder: Path) -> Path:
    stack.run("ops/backup.sh", str(folder))
    (file,) = folder.iterdir()
    return file


class Moment:
    """Jobs in all situations, and a backup of that moment. What the stack does afterwards is not in it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        stack.http.post("/flask/todos", json={"text": "Find this again"})
        self.export = stack.submit("export")
        stack.wait_state(self.export, "SUCCESS")
        self.csv = stack.http.get(f"/flask/download/{self.export}").text
        assert "Find this again" in self.csv
        run_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        body = {"task_type": "add", "input_params": {"a": 1, "b": 1}, "run_at": run_at}
        self.scheduled = stack.http.post("/flask/tasks", json=body).json()["task_id"]
        # With eight processes, half of them for this queue: four run, four wait.
        self.heavy = [stack.submit_heavy(4) for _ in range(8)]
        wait_until(
            lambda: [stack.status(job)["status"] for job in self.heavy].count("STARTED"), 30, "4 run", lambda n: n == 4
        )
        self.secrets = {file.name: file.read_bytes() for file in stack.secrets.glob("*_password")}
        self.file = back_up(stack, folder)

    def is_back(self, stack: Stack) -> None:
        """Check that a stack is as the other one was at that moment, and goes on from there."""
        for job in self.heavy:
            assert stack.wait_state(job, "SUCCESS", timeout=60)["result"].startswith("This task took")
        assert stack.status(self.export)["status"] == "SUCCESS"
        assert stack.http.get(f"/flask/download/{self.export}").text == self.csv
        assert stack.status(self.scheduled)["status"] == "PENDING"
        for job in self.heavy:
            assert stack.http.get(f"/flask/tasks/{job}").json()["attempts"] <= 2
        assert {file.name: file.read_bytes() for file in stack.secrets.glob("*_password")} == self.secrets
        assert {stat.S_IMODE(file.stat().st_mode) for file in stack.secrets.glob("*_*")} == {0o600}
        assert stack.http.delete(f"/flask/tasks/{self.scheduled}").status_code == 200


# --- making -----------------------------------------------------------------------------------------------------------


def test_while_jobs_come_in_a_backup_is_whole_and_has_all_that_were_accepted_before(
    stack: Stack, tmp_path: Path
) -> None:
    accepted: list[str] = []
    enough, stop = threading.Event(), threading.Event()

    def submit() -> None:
        while not stop.is_set():
            accepted.append(stack.submit("add", a=1, b=2))
            if len(accepted) > 200:
                enough.set()

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(submit) for _ in range(4)]
        try:
            assert enough.wait(60)
            before = set(accepted)
            file = back_up(stack, tmp_path / "backups")
        finally:
            stop.set()
    assert [client.exception() for client in clients] == [None] * 4

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "opened", filter="data")
    with closing(sqlite3.connect(tmp_path / "opened/ledger.db")) as ledger:
        assert faults(ledger.execute) == []
        copied = {job for (job,) in ledger.execute("SELECT id FROM job")}
    assert before <= copied
    for job in accepted:
        stack.wait_state(job, "SUCCESS")


def test_only_so_many_backups_are_kept_and_none_of_another_stack(stack: Stack, tmp_path: Path) -> None:
    old = [f"{stack.prefix}-2020010{day}T000000Z.tar.gz" for day in range(1, 5)]
    others = [f"{stack.prefix}-x-20200101T000000Z.tar.gz", "notes.txt"]
    for name in old + others:
        (tmp_path / name).touch()
    done = stack.run("ops/backup.sh", str(tmp_path), "--keep", "3")
    left = sorted(file.name for file in tmp_path.iterdir())
    (new,) = set(left) - {*old, *others}
    assert sorted([*old[2:], *others, new]) == left
    assert str(tmp_path / new) in done.stdout
    assert f"stack {stack.prefix}, " in done.stdout


def test_what_a_killed_backup_has_left_is_removed(stack: Stack, tmp_path: Path) -> None:
    work = tmp_path / f"{stack.prefix}.part"
    work.mkdir()
    (work / "ledger.db").touch()
    name = f"{stack.prefix}_backup_container"
    stack.docker("create", "--name", name, "warren_base:trixie", "true")
    back_up(stack, tmp_path)
    assert name not in stack.containers()


# --- bringing it back -------------------------------------------------------------------------------------------------


def test_what_waited_or_ran_at_the_moment_of_the_backup_runs_after_the_restore(stack: Stack, tmp_path: Path) -> None:
    containers = stack.containers()
    moment = Moment(stack, tmp_path)
    later = [stack.submit_heavy(60) for _ in range(6)]  # RabbitMQ has messages about them when it is restored
    (stack.db / "exports" / f"{moment.export}.csv").unlink()

    done = stack.run("ops/restore.sh", str(moment.file), "--yes")
    moment.is_back(stack)

    assert f"the ledger in         {stack.db}" in done.stdout
    assert {stack.http.get(f"/flask/tasks/{job}").status_code for job in later} == {404}
    stack.check_ledger()
    assert stack.containers() == containers
    assert sorted(file.name for file in stack.db.iterdir() if "restore" in file.name) == []
    # The way back: what was there is a backup, too.
    (way_back,) = (ROOT / "backups" / stack.prefix).iterdir()
    with tarfile.open(way_back) as archive:
        archive.extractall(tmp_path / "opened", filter="data")
    with closing(sqlite3.connect(tmp_path / "opened/ledger.db")) as ledger:
        assert set(later) <= {job for (job,) in ledger.execute("SELECT id FROM job")}


@pytest.fixture
def new(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Return a stack of which there are only the images: its ledger is going to be in a Docker volume."""
    made = Stack(NEW, tmp_path / "new")
    made.env["DB_DIR"] = f"{NEW}_ledger"
    made.clear()
    for image in ("flask", "celery"):
        made.docker("tag", f"{stack.prefix}_{image}", f"{NEW}_{image}")
    yield made
    made.http.close()
    made.clear()
    for image in ("python", "flask", "celery", "rabbitmq", "nginx"):
        made.docker("rmi", f"{NEW}_{image}", check=False)


def test_a_backup_is_brought_back_where_nothing_is(stack: Stack, new: Stack, tmp_path: Path) -> None:
    moment = Moment(stack, tmp_path / "backups")
    new.run("ops/restore.sh", str(moment.file), "--yes")
    moment.is_back(new)
    moment.is_back(stack)  # it was not disturbed
    assert not (ROOT / "backups" / NEW).exists(), "there was nothing to back up"
    labels = new.docker("volume", "inspect", "--format", '{{index .Labels "warren.stack"}}', f"{NEW}_ledger")
    assert labels == NEW
    made = back_up(new, tmp_path / "from_a_volume")
    with tarfile.open(made) as archive:
        assert f"exports/{moment.export}.csv" in archive.getnames()


# --- refused ----------------------------------------------------------------------------------------------------------


def refusal(stack: Stack, script: str, *arguments: str, **settings: str) -> str:
    """Run what must be refused without touching anything; return what it said."""
    before = container_ids(stack), stack.submit_heavy(0)
    stack.wait_state(before[1], "SUCCESS")
    refused = run([script, *arguments], env=stack.env | settings, check=False)
    assert refused.returncode != 0
    assert (container_ids(stack), before[1]) == before
    assert stack.status(before[1])["status"] == "SUCCESS"
    assert "restore" not in {file.name for file in stack.db.iterdir()}
    return refused.stdout + refused.stderr


def test_a_file_that_is_no_backup_is_refused_before_anything_is_touched(stack: Stack, tmp_path: Path) -> None:
    good = back_up(stack, tmp_path / "good").read_bytes()
    wrong = tmp_path / "wrong.tar.gz"
    for content, says in [(b"Dear diary", "not a backup at all"), (good[: len(good) // 2], "damaged")]:
        wrong.write_bytes(content)
        assert says in refusal(stack, "ops/restore.sh", str(wrong), "--yes")
    assert "cannot read a file" in refusal(stack, "ops/restore.sh", str(tmp_path / "nowhere"), "--yes")


def test_nothing_is_replaced_without_a_yes(stack: Stack, tmp_path: Path) -> None:
    file = str(back_up(stack, tmp_path))
    said = refusal(stack, "ops/restore.sh", file)
    for word in ("nothing was replaced", "--yes", f"stack {stack.prefix}, ", str(stack.db), str(stack.secrets)):
        assert word in said


@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("ops/backup.sh", ["--keep", "some"], "not a number of backups: some"),
        ("ops/backup.sh", ["--keep"], "not a number of backups: "),
        ("ops/backup.sh", ["--all"], "unknown option: --all"),
        ("ops/backup.sh", ["/proc/nowhere"], "cannot write to /proc/nowhere"),
        ("ops/restore.sh", [], "no file is given"),
        ("ops/restore.sh", ["--force"], "unknown option: --force"),
        ("ops/restore.sh", ["README.md", "LICENSE"], "more than one file: README.md LICENSE"),
    ],
)
def test_a_wrong_argument_is_named_with_the_remedy(stack: Stack, script: str, arguments: list[str], says: str) -> None:
    refused = stack.run(script, *arguments, check=False)
    error, empty, *remedy = refused.stderr.splitlines()
    assert refused.returncode == 1
    assert error == f"error: {says}" or error.endswith(says)
    assert empty == ""
    assert remedy


def test_a_stack_that_is_not_there_is_told(stack: Stack, tmp_path: Path) -> None:
    settings = {"SECRETS_DIR": str(tmp_path / "nowhere")}
    assert f"has no folder {tmp_path}/nowhere" in run(["ops/backup.sh"], env=stack.env | settings, check=False).stderr
    nowhere = {"PREFIX": "warren_nothing", "SECRETS_DIR": str(tmp_path / "secrets"), "DB_DIR": str(tmp_path / "db")}
    for script in (["ops/backup.sh"], ["ops/restore.sh", "README.md"]):
        said = run(script, env=nowhere, check=False).stderr
        assert said.startswith("error: there is no image warren_nothing_flask")
        assert "./build.sh" in said
    assert list(tmp_path.iterdir()) == []
