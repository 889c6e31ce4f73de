"""A stack with LEDGER=postgresql: it does what the others do, and loses nothing when PostgreSQL dies or is renewed.

At the end the same stack begins anew with SQLite, and moves to PostgreSQL under load.
"""

import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import test_cis, test_job_types
from tests.stack.test_scripts import container_ids
from tests.support.clients import asking
from tests.support.leaks import Search, of_containers, of_logs, of_processes, secrets_in
from tests.support.stack import BUILD_TIMEOUT, PREFIX, Stack, run, running, wait_until

#: One job of each kind, as short as it may be.
KINDS: dict[str, dict[str, Any]] = {
    "heavy": {"seconds": 0},
    "add": {"a": 1, "b": 2},
    "divide": {"a": 1, "b": 4},
    "text": {"text": "Größe", "repeat": 2},
    "export": {},
    "csv_processing": {"num_rows": 100, "processing_time": 5},
    "email_sending": {"num_emails": 1, "subject": "Hello", "delay": 0.5},
    "image_processing": {"num_images": 1, "width": 100, "height": 100},
}


@pytest.fixture(scope="module")
def stack(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack that was built with PostgreSQL from nothing. Later builds are not told so: they know."""
    made = Stack(f"{PREFIX}_pg", tmp_path_factory.mktemp("pg"))
    made.env["LEDGER"] = "postgresql"
    with running(made) as stack:
        del stack.env["LEDGER"]
        yield stack


@dataclass
class Load:
    """What clients have got that submit jobs all the time. If one of them gets no answer in time, it fails."""

    accepted: list[str] = field(default_factory=list)
    refused: list[httpx.Response] = field(default_factory=list)
    #: When jobs were accepted, by the monotonic clock, and how long the slowest answer took, both in seconds.
    accepted_at: list[float] = field(default_factory=list)
    slowest: float = 0

    @property
    def longest_pause(self) -> float:
        """The longest time between two accepted jobs, in seconds."""
        return max(after - before for before, after in pairwise(sorted(self.accepted_at)))

    def check(self, stack: Stack) -> None:
        """Fail unless all that were accepted succeed, and refusals say when to come again."""
        assert self.accepted
        assert {answer.status_code for answer in self.refused} <= {503}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in self.refused)

        def left() -> set[str]:
            return set(self.accepted) - {row[0] for row in stack.ledger("SELECT id FROM job WHERE state = 'SUCCESS'")}

        wait_until(left, 90, "all accepted jobs have succeeded", lambda ids: not ids)


@contextmanager
def submitting(stack: Stack, clients: int = 4) -> Iterator[Load]:
    """Let clients submit jobs while the block runs, from some accepted ones before it to some more after it."""
    load, stop = Load(), threading.Event()

    def submit() -> None:
        with httpx.Client(base_url=stack.url, timeout=15) as http:
            while not stop.wait(0.05):
                asked = time.monotonic()
                answer = http.post("/flask/add", json={"a": 1, "b": 2})
                load.slowest = max(load.slowest, time.monotonic() - asked)
                if answer.status_code == 202:
                    load.accepted.append(answer.json()["task_id"])
                    load.accepted_at.append(time.monotonic())
                else:
                    load.refused.append(answer)

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(submit) for _ in range(clients)]
        try:
            wait_until(lambda: len(load.accepted) > 50, 30, "jobs are accepted")
            yield load
            before = len(load.accepted)
            wait_until(lambda: len(load.accepted) > before + 50, 60, "jobs are accepted again")
        finally:
            stop.set()
    for one in running:
        one.result()


# --- it does what the others do ---------------------------------------------------------------------------------------


def test_every_kind_of_job_runs_and_is_found(stack: Stack) -> None:
    jobs = {kind: stack.submit(kind, **parameters) for kind, parameters in KINDS.items()}
    for task_id in jobs.values():
        stack.wait_state(task_id, "SUCCESS", timeout=60)
    listed = {job["task_id"] for job in stack.walk("/flask/tasks", limit="3")}
    assert set(jobs.values()) <= listed
    found = stack.http.get("/flask/tasks", params={"q": "kind:text größe"}).json()["data"]
    assert [job["task_id"] for job in found] == [jobs["text"]]
    assert stack.http.get(f"/flask/download/{jobs['export']}").status_code == 200
    health = stack.http.get("/flask/healthz/background")
    assert (health.status_code, health.json()["ledger"]) == (200, "ok")
    for page in ("", "/queues", "/kinds", "/workers", "/failures", "/schedules", "/todos", f"/tasks/{jobs['text']}"):
        answer = stack.http.get(f"/flask{page}", headers={"Accept": "text/html"})
        assert answer.status_code == 200, page
    assert jobs["add"] in stack.run("ops/trace.sh", jobs["add"]).stdout


def test_it_is_as_closed_as_the_other_containers(stack: Stack) -> None:
    stack.wait_healthy(stack.postgres)
    details = stack.inspect(stack.postgres)
    assert test_cis.unmet(details) == set()
    assert list(details["NetworkSettings"]["Networks"]) == [stack.network]
    assert stack.docker("exec", stack.postgres, "id", "-u") != "0"
    assert stack.ledger("SHOW data_checksums") == [("on",)]
    # The administrator has no way in over the network, and users of the ledger none without their password.
    for user in (stack.docker("exec", stack.postgres, "id", "-un"), "ledger"):
        ask = ("psql", "--no-password", "--host", "127.0.0.1", "--username", user, "warren")
        refused = run(["docker", "exec", stack.postgres, *ask], check=False)
        assert refused.returncode == 2
        assert "no pg_hba.conf entry" in refused.stderr or "no password supplied" in refused.stderr


@pytest.mark.parametrize(
    "check",
    [
        test_cis.test_4_1_an_image_has_an_ordinary_user,
        test_cis.test_4_3_an_image_has_no_tools_for_others,
        test_cis.test_4_6_an_image_says_how_it_is_checked,
        test_cis.test_4_8_no_program_lends_the_rights_of_another_user,
        test_cis.test_4_10_an_image_has_no_secret_in_its_settings_and_its_history,
    ],
)
def test_its_image_is_like_the_others(stack: Stack, check: Callable[[Stack, str], None]) -> None:
    check(stack, "postgres")


def test_its_password_is_a_file_and_stands_nowhere_else(stack: Stack) -> None:
    for name in ("ledger_password", "database_url"):
        assert stat.S_IMODE((stack.secrets / name).stat().st_mode) == 0o600
    search = Search(secrets_in(stack.secrets))
    assert search.text(of_containers(stack) + of_processes(stack) + of_logs(stack)) == set()


# --- exported files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "check",
    [
        test_job_types.test_todos_are_exported_and_downloaded,
        test_job_types.test_there_is_nothing_to_download_before_an_export_has_succeeded,
        test_job_types.test_there_is_nothing_to_download_of_other_jobs,
        test_job_types.test_100_000_todos_are_exported_in_seconds,
    ],
)
def test_files_are_downloaded_as_from_a_folder(stack: Stack, check: Callable[[Stack], None]) -> None:
    check(stack)
    assert not list((stack.db / "exports").glob("*.csv")), "they are in PostgreSQL"


def test_a_file_expires(stack: Stack) -> None:
    old, young = (stack.submit("export", filters={"text": text}) for text in ("no such text", "nor such a text"))
    for export in (old, young):
        stack.wait_state(export, "SUCCESS")
    grow_old = f"UPDATE export_file SET written_at = written_at - 25 * 3600 WHERE job_id = '{old}'"
    stack.docker("exec", stack.postgres, "psql", "--quiet", "--dbname", "warren", "--command", grow_old)
    stack.docker("exec", stack.beat, "python", "-c", "from jobs.exports import store; list(store.remove_expired())")
    answer = stack.http.get(f"/flask/download/{old}")
    assert answer.status_code == 410
    assert "expired" in answer.json()["detail"]
    assert stack.http.get(f"/flask/download/{young}").status_code == 200
    assert stack.ledger(f"SELECT number FROM export_chunk WHERE job_id = '{old}'") == []


@pytest.mark.parametrize("part", ["celery", "postgres"])
def test_a_part_is_killed_while_a_file_is_written_and_another_run_writes_all_of_it(stack: Stack, part: str) -> None:
    with test_job_types.many_todos(stack) as mark:
        export = stack.submit("export", filters={"text": mark})
        written = f"SELECT attempt FROM export_chunk WHERE job_id = '{export}'"
        wait_until(lambda: stack.ledger(written), 30, "some of it is written", interval=0.02)
        stack.kill(getattr(stack, part))
        assert stack.wait_state(export, "SUCCESS", timeout=90)["result"]["count"] == 100_000
    assert stack.http.get(f"/flask/tasks/{export}").json()["attempts"] == 2
    assert set(stack.ledger(written)) == {("2",)}, "what the first run has left is gone"
    assert len(stack.http.get(f"/flask/download/{export}").text.splitlines()) == 100_001
    stack.wait_healthy()


def test_clients_that_do_not_read_keep_nobody_else_waiting(stack: Stack) -> None:
    with test_job_types.many_todos(stack) as mark:
        export = stack.submit("export", filters={"text": mark})
        stack.wait_state(export, "SUCCESS")
    with ExitStack() as slow:
        clients = [slow.enter_context(httpx.Client(base_url=stack.url, timeout=15)) for _ in range(40)]
        answers = [slow.enter_context(client.stream("GET", f"/flask/download/{export}")) for client in clients]
        assert {answer.status_code for answer in answers} == {200, 503}
        assert {answer.headers["Retry-After"] for answer in answers if answer.status_code == 503} == {"5"}
        assert stack.http.get("/flask/tasks", timeout=2).status_code == 200
    wait_until(lambda: stack.http.get(f"/flask/download/{export}").status_code == 200, 30, "it is sent again")


# --- build.sh again ---------------------------------------------------------------------------------------------------


def test_a_second_build_stays_with_it_and_renews_nothing(stack: Stack) -> None:
    before = container_ids(stack)
    stack.run("./build.sh", timeout=BUILD_TIMEOUT)
    assert container_ids(stack) == before


@pytest.mark.parametrize("settings", [{"LEDGER": "sqlite"}, {"DATABASE_URL": "postgresql://user:pass_word@host/other"}])
def test_another_ledger_is_refused_and_nothing_is_touched(stack: Stack, settings: dict[str, str]) -> None:
    before = container_ids(stack), (stack.secrets / "database_url").read_text()
    refused = run(["./build.sh"], env=stack.env | settings, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        f"error: the jobs of the stack {stack.prefix} are in postgresql://{stack.postgres}/warren"
    )
    assert "set neither LEDGER nor DATABASE_URL" in refused.stderr
    assert "pass_word" not in refused.stdout + refused.stderr
    assert (container_ids(stack), (stack.secrets / "database_url").read_text()) == before


def test_without_the_secrets_the_volume_tells(stack: Stack, tmp_path: Path) -> None:
    refused = stack.run("./build.sh", check=False, SECRETS_DIR=str(tmp_path / "secrets"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: the volume {stack.prefix}_postgres_data has a ledger in PostgreSQL")
    assert "LEDGER=postgresql ./build.sh" in refused.stderr


#: Seconds for which requests wait for it, on a machine that is slow, too.
PATIENCE = 8


def test_a_renewal_renews_only_it_and_refuses_nobody(stack: Stack) -> None:
    before = container_ids(stack)
    try:
        with submitting(stack) as load:
            stack.run("./build.sh", timeout=BUILD_TIMEOUT, POSTGRES_MEMORY="384m")
        after = container_ids(stack)
        assert {name for name in after if after[name] != before[name]} == {stack.postgres}
        load.check(stack)
        assert not load.refused or load.longest_pause > PATIENCE
    finally:
        stack.run("./build.sh", timeout=BUILD_TIMEOUT)


# --- it dies ----------------------------------------------------------------------------------------------------------


def test_it_is_killed_while_jobs_come_in_and_all_of_them_succeed(stack: Stack) -> None:
    restarts = stack.inspect(stack.postgres)["RestartCount"]
    with submitting(stack) as load:
        stack.kill(stack.postgres)
        wait_until(lambda: stack.inspect(stack.postgres)["RestartCount"] > restarts, 30, "it was started again")
    load.check(stack)
    assert not load.refused or load.longest_pause > PATIENCE
    stack.check_ledger()
    stack.wait_healthy()


def test_the_jobs_stay_when_everything_is_stopped_and_built_again(stack: Stack) -> None:
    done = stack.submit("add", a=1, b=2)
    stack.wait_state(done, "SUCCESS")
    waiting = [stack.submit_heavy(1) for _ in range(12)]
    stack.run("./stop.sh")
    assert stack.containers() == []
    stack.run("./build.sh", timeout=BUILD_TIMEOUT)
    assert stack.status(done)["status"] == "SUCCESS"
    for task_id in waiting:
        stack.wait_state(task_id, "SUCCESS", timeout=60)


# --- its password, its copies -----------------------------------------------------------------------------------------


def is_let_in(stack: Stack, user: str, password: str) -> bool:
    command = ["docker", "exec", "--interactive", stack.postgres, "bash", "-c"]
    ask = 'read -r PGPASSWORD; export PGPASSWORD; psql --host 127.0.0.1 --username "$0" --command "SELECT 1" warren'
    done = subprocess.run([*command, ask, user], input=f"{password}\n", capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 or "authentication failed" in done.stderr or "no pg_hba.conf entry" in done.stderr
    return done.returncode == 0


def test_its_password_is_renewed_and_no_request_fails(stack: Stack) -> None:
    ((user, password),) = stack.broker_users("ledger").items()
    assert is_let_in(stack, user, password)
    with asking(stack) as answers:
        stack.run("ops/rotate_secrets.sh", "ledger", timeout=BUILD_TIMEOUT)
    answers.check(stack)
    ((new_user, new_password),) = stack.broker_users("ledger").items()
    assert (new_user, new_password) != (user, password)
    assert is_let_in(stack, new_user, new_password)
    assert not is_let_in(stack, user, password)
    before = container_ids(stack)
    stack.run("./build.sh", timeout=BUILD_TIMEOUT)
    assert container_ids(stack) == before


def test_a_backup_brings_back_what_there_was(stack: Stack, tmp_path: Path) -> None:
    export = stack.submit("export")
    stack.wait_state(export, "SUCCESS")
    waiting = [stack.submit_heavy(2) for _ in range(12)]
    stack.run("ops/backup.sh", str(tmp_path))
    (file,) = tmp_path.iterdir()
    later = stack.submit("add", a=1, b=1)
    stack.run("ops/restore.sh", str(file), "--yes", "--without-backup", timeout=BUILD_TIMEOUT)
    assert stack.is_on_postgresql
    assert stack.http.get(f"/flask/tasks/{later}").status_code == 404
    assert stack.http.get(f"/flask/download/{export}").status_code == 200
    for task_id in waiting:
        stack.wait_state(task_id, "SUCCESS", timeout=60)
    stack.check_ledger()


# --- from SQLite to PostgreSQL ----------------------------------------------------------------------------------------


def test_purged_it_leaves_nothing(stack: Stack) -> None:
    stack.check_ledger()
    stack.run("./stop.sh", "--purge")
    assert stack.docker("volume", "ls", "--quiet", "--filter", f"name=^{stack.prefix}_") == ""
    assert not stack.secrets.exists()


@pytest.fixture(scope="module")
def moving(stack: Stack) -> Stack:
    """Return the stack after it has begun anew, with SQLite."""
    stack.build()
    assert not stack.is_on_postgresql
    return stack


def test_a_move_that_is_killed_leaves_the_old_ledger_as_it_was(moving: Stack, tmp_path: Path) -> None:
    job = moving.submit("add", a=1, b=2)
    moving.wait_state(job, "SUCCESS")
    moving.run_and_kill(
        "ops/move_ledger.sh",
        output=tmp_path / "output",
        timeout=240,
        why="submissions are refused",
        is_now=lambda printed: f"{moving.flask} stops" in printed,
    )
    assert not moving.is_on_postgresql
    assert moving.http.get("/flask/healthz").status_code == 503


def test_the_ledger_moves_while_jobs_come_in_and_all_of_them_succeed(moving: Stack) -> None:
    """After the run that was killed."""
    moving.docker("start", moving.flask, moving.beat, moving.celery)
    wait_until(lambda: moving.http.get("/flask/healthz").status_code == 200, 60, "the stack goes on with SQLite")
    export = moving.submit("export")
    moving.wait_state(export, "SUCCESS")
    file = moving.http.get(f"/flask/download/{export}")
    long = [moving.submit_heavy(8) for _ in range(2)]
    with submitting(moving) as load:
        done = moving.run("ops/move_ledger.sh", timeout=BUILD_TIMEOUT)
    assert moving.is_on_postgresql
    load.check(moving)
    for task_id in long:
        moving.wait_state(task_id, "SUCCESS", timeout=60)
    moving.check_ledger()
    assert moving.http.get(f"/flask/download/{export}").content == file.content
    assert "Submissions were refused for" in done.stdout
    assert load.refused
    assert {file.name for file in moving.db.glob("backend.db*")} == {"backend.db.moved", "backend.db.lock"}

    assert "already" in moving.run("ops/move_ledger.sh").stdout
