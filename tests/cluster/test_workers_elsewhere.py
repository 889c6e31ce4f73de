"""Workers on a second machine: it joins, works, dies, comes back and leaves; and no accepted job is lost.

The tests follow one another: each goes on from where the last one has left the two machines.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Cluster, carry
from tests.stack.test_postgres import submitting
from tests.stack.test_scripts import container_ids
from tests.support.stack import BUILD_TIMEOUT, wait_until

#: Some of them build the stack two times.
pytestmark = pytest.mark.timeout(2 * BUILD_TIMEOUT)


def build(cluster: Cluster, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return cluster.first.run("./build.sh", *arguments, timeout=BUILD_TIMEOUT, **settings)


@contextmanager
def invitation(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """Yield an invitation that was carried over; at the end it is used up."""
    written = cluster.first.secrets / "invitation"
    with subprocess.Popen(
        cluster.first.there("./launch_celery_worker.sh", "--invite"),
        env=os.environ | cluster.first.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as script:
        try:
            wait_until(written.exists, 30, "the invitation is written")
            assert stat.S_IMODE(written.stat().st_mode) == 0o600
            carried = Path(shutil.copy2(written, folder / "carried"))
            yield carried
            said = script.communicate(timeout=30)[0]
        finally:
            script.terminate()
    assert f"{cluster.second.machine.name} has joined" in said
    assert script.returncode == 0
    assert not written.exists()


def works_elsewhere(cluster: Cluster, job: dict[str, Any]) -> bool:
    return str(job["worker"]).startswith(f"{cluster.first.celery}_{cluster.second.machine.name}")


def jobs(cluster: Cluster, ids: list[str]) -> list[dict[str, Any]]:
    return [cluster.first.http.get(f"/flask/tasks/{task_id}").json() for task_id in ids]


def run_there(cluster: Cluster, seconds: float) -> list[str]:
    """Submit more jobs than one worker runs at once, and wait until some of them run on the second machine."""
    ids = [cluster.first.submit_heavy(seconds) for _ in range(16)]
    wait_until(
        lambda: [job for job in jobs(cluster, ids) if works_elsewhere(cluster, job)],
        60,
        "jobs run on the second machine",
    )
    return ids


def test_a_ledger_in_sqlite_is_refused_before_anything_is_made(cluster: Cluster) -> None:
    refused = cluster.first.run("./build.sh", "--cluster", cluster.first.machine.address, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: workers on other machines need PostgreSQL")
    assert "ops/move_ledger.sh" in refused.stderr
    assert "LEDGER=postgresql" in refused.stderr
    assert not cluster.first.secrets.exists()


def test_a_stack_that_runs_gets_the_other_network_and_loses_no_job(cluster: Cluster) -> None:
    build(cluster, LEDGER="postgresql")
    with submitting(cluster.first) as load:
        build(cluster, "--cluster", cluster.first.machine.address)
    load.check(cluster.first)
    network = cluster.first.docker("network", "inspect", cluster.first.network, "--format", "{{.Driver}} {{.Internal}}")
    assert network == "overlay true"
    before = container_ids(cluster.first)
    build(cluster)
    assert container_ids(cluster.first) == before


def test_a_machine_joins_with_an_invitation(cluster: Cluster, bag: Path) -> None:
    carry([f"{cluster.first.prefix}_celery"], [cluster.second.machine], cluster.first.machine.env)
    with invitation(cluster, bag) as file:
        copy = shutil.copy2(file, bag / "copy")
        joined = cluster.second.run("./launch_celery_worker.sh", "--join", str(file), check=False)
    if joined.returncode:  # this kernel passes no encrypted data: then it is said, and nothing is left there
        assert "no data passes to" in joined.stderr
        assert "CLUSTER_ENCRYPTION=off ./build.sh --cluster" in joined.stderr
        check_nothing_is_left(cluster)
        told = build(cluster, CLUSTER_ENCRYPTION="off")
        assert "warning: CLUSTER_ENCRYPTION is off" in told.stderr
        with invitation(cluster, bag) as file:
            copy = shutil.copy2(file, bag / "copy")
            cluster.second.run("./launch_celery_worker.sh", "--join", str(file))
    assert not file.exists()
    cluster.copy = Path(copy)


def test_it_is_shown_and_runs_jobs(cluster: Cluster) -> None:
    name = f"{cluster.first.celery}_{cluster.second.machine.name}_2"
    assert cluster.second.containers() == [name]
    page = cluster.first.http.get("/flask/workers", headers={"Accept": "text/html"}).text
    assert name in page
    ids = run_there(cluster, 0.5)
    for task_id in ids:
        cluster.first.wait_state(task_id, "SUCCESS", timeout=60)


def test_an_export_runs_there_and_its_file_is_downloaded_from_the_first_machine(cluster: Cluster) -> None:
    todo = cluster.first.http.post("/flask/todos", json={"text": "written elsewhere"}).json()
    cluster.first.docker("stop", cluster.first.celery)
    try:
        export = cluster.first.submit("export", filters={"text": "written elsewhere"})
        cluster.first.wait_state(export, "SUCCESS", timeout=60)
    finally:
        cluster.first.docker("start", cluster.first.celery)
    assert [works_elsewhere(cluster, job) for job in jobs(cluster, [export])] == [True]
    file = cluster.first.http.get(f"/flask/download/{export}")
    assert file.text.splitlines()[1:] == [f"{todo['id']},written elsewhere,false,{todo['created_at']}"]


def test_its_machine_dies_and_the_other_one_ends_all_jobs(cluster: Cluster) -> None:
    ids = run_there(cluster, 4)
    cluster.second.machine.die()
    for task_id in ids:
        cluster.first.wait_state(task_id, "SUCCESS", timeout=120)
    cluster.first.check_ledger()


def test_it_comes_back_and_works_again_by_itself(cluster: Cluster) -> None:
    cluster.second.machine.start()
    ids = run_there(cluster, 1)
    for task_id in ids:
        cluster.first.wait_state(task_id, "SUCCESS", timeout=60)


def test_workers_are_added_and_retired_there(cluster: Cluster) -> None:
    cluster.second.run("./launch_celery_worker.sh", "1", "--queues", "arithmetic", "--concurrency", "1")
    assert len(cluster.second.containers()) == 2
    cluster.second.run("ops/retire_workers.sh")
    assert len(cluster.second.containers()) == 1


@pytest.mark.parametrize("script", ["./build.sh", "./stop.sh"])
def test_scripts_of_a_whole_stack_are_refused_there(cluster: Cluster, script: str) -> None:
    refused = cluster.second.run(script, check=False)
    assert refused.stderr.startswith("error: this machine has workers of the stack on")


def test_it_cannot_be_cut_off(cluster: Cluster) -> None:
    refused = cluster.first.run("./build.sh", "--no-cluster", check=False)
    assert refused.stderr.startswith("error: workers on other machines use the network")
    assert cluster.second.machine.address in refused.stderr


def test_it_leaves_in_order_and_an_invitation_is_good_only_once(cluster: Cluster) -> None:
    ids = run_there(cluster, 1)
    cluster.second.run("./launch_celery_worker.sh", "--leave")
    check_nothing_is_left(cluster)
    for task_id in ids:
        cluster.first.wait_state(task_id, "SUCCESS", timeout=60)
    again = cluster.second.run("./launch_celery_worker.sh", "--join", str(cluster.copy), check=False)
    assert "could not join" in again.stderr
    check_nothing_is_left(cluster)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("prefix other", "the invitation is for the stack other"),
        ("deadline 1", "the invitation is too old"),
        ("code 0123", "the first machine has another version"),
        ("setting PATH=/tmp", "unknown setting in the invitation: PATH=/tmp"),
        ("anything else", "is not an invitation"),
    ],
)
def test_an_invitation_that_does_not_fit_is_refused(cluster: Cluster, bag: Path, line: str, says: str) -> None:
    file = bag / "invitation"
    file.write_text(f"{cluster.copy.read_text()}{line}\n")
    refused = cluster.second.run("./launch_celery_worker.sh", "--join", str(file), check=False)
    assert refused.returncode == 1
    assert says in refused.stderr.partition("\n")[0]
    check_nothing_is_left(cluster)


def check_nothing_is_left(cluster: Cluster) -> None:
    assert cluster.second.containers() == []
    assert not cluster.second.secrets.exists()
    assert cluster.second.docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"
    networks = cluster.second.docker("network", "ls", "--filter", f"label=warren.stack={cluster.second.prefix}", "-q")
    assert networks == ""


def test_it_becomes_a_stack_of_one_machine_again(cluster: Cluster) -> None:
    job = cluster.first.submit("add", a=1, b=2)
    cluster.first.wait_state(job, "SUCCESS")
    build(cluster, "--no-cluster")
    assert cluster.first.status(job)["status"] == "SUCCESS"
    assert cluster.first.docker("network", "inspect", cluster.first.network, "--format", "{{.Driver}}") == "bridge"
    assert cluster.first.docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"
