"""Three machines, each with all parts of the stack: any one of them may die, and no accepted job is lost.

The tests follow one another: each goes on from where the last one has left the machines. They take long, and run only
with --jobs; what runs each time has two machines.
"""

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import IMAGES, StackOnMachine, give_layers
from tests.cluster.table import Line
from tests.stack.test_postgres import Load, submitting
from tests.support.engines import Machine, machines
from tests.support.stack import BUILD_TIMEOUT, PREFIX, wait_until

pytestmark = pytest.mark.timeout(2 * BUILD_TIMEOUT)

ALL_IMAGES = (*IMAGES, "patroni", "etcd")


class Node(StackOnMachine):
    """One of the three."""

    def __init__(self, number: int, machine: Machine, folder: Path) -> None:
        super().__init__(machine, folder, prefix=f"{PREFIX}_three")
        self.number = number
        self.etcd = f"{self.prefix}_etcd_container"
        #: What systemd would keep running.
        self._starter: subprocess.Popen[bytes] | None = None

    @property
    def is_on_postgresql(self) -> bool:
        return True

    def begin(self) -> None:
        """Have the machine come back, and what systemd starts there."""
        self.machine.start()
        self.boot()

    def boot(self) -> None:
        """Start what systemd would start, unless it runs already."""
        if self._starter is None or self._starter.poll() is not None:
            self._starter = subprocess.Popen(
                self.there("ops/start_again.sh"), env=os.environ | self.env, stdin=subprocess.DEVNULL
            )

    def die(self) -> None:
        self.machine.die()
        if self._starter is not None:
            self._starter.wait()

    def members(self) -> dict[str, str]:
        """Return what each PostgreSQL is, as this one knows: `leader running` or `quorum_standby streaming`."""
        said = self.docker("exec", self.postgres, "members").splitlines()
        return {name: how for name, _, how in (line.partition(" ") for line in said)}

    def copies(self) -> list[int]:
        """Return on how many running RabbitMQ each queue is."""
        ask = ("rabbitmqctl", "--silent", "list_queues", "--vhost", "warren", "online")
        return [line.count("rabbit@") for line in self.docker("exec", self.rabbitmq, *ask).splitlines()]


@pytest.fixture(scope="module")
def three(jobs: int, engines: None, place: Path) -> Iterator[list[Node]]:
    with machines(place / "m", 3) as made:
        nodes = [Node(number, machine, place / str(number)) for number, machine in enumerate(made, 1)]
        give_layers(made, nodes[0], ALL_IMAGES)
        try:
            yield nodes
        finally:
            for node in nodes:
                node.http.close()
                node.die()


@pytest.fixture
def whole(three: list[Node]) -> list[Node]:
    """Return the three, all of them there and well."""
    wait_until_whole(three)
    return three


def wait_until_whole(three: list[Node]) -> None:
    for node in three:
        wait_until(node.containers, 60, f"{node.machine.name} is there")
        node.wait_healthy(timeout=120)
    wait_until(three[0].members, 120, "one PostgreSQL leads and two follow", lambda how: sorted(how.values()) == PLACES)
    wait_until(three[0].copies, 60, "each queue is on all three", lambda copies: copies == [3, 3, 3])


#: What one PostgreSQL knows of the three.
PLACES = ["leader running", "quorum_standby streaming", "quorum_standby streaming"]


def leader(nodes: list[Node]) -> Node:
    """Return the machine whose PostgreSQL leads."""
    places = nodes[0].members()
    return next(node for node in nodes if places[f"{node.prefix}_postgres_{node.number}"].startswith("leader"))


@contextmanager
def submitting_to(nodes: list[Node]) -> Iterator[list[Load]]:
    """Let clients submit jobs to each of these machines while the block runs, and for a while after it."""
    with ExitStack() as loads:
        yield [loads.enter_context(submitting(node, clients=2)) for node in nodes]


def check(nodes: list[Node], loads: list[Load]) -> None:
    """Fail unless all that was accepted succeeds, and each job is as it may be."""
    for load in loads:
        load.check(nodes[0])
    nodes[0].check_ledger()


# --- how they become three --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--cluster", "192.0.2.1,192.0.2.2", "--node", "1"],
            "--cluster needs three addresses, not: 192.0.2.1,192.0.2.2",
        ),
        (["--cluster", "192.0.2.1,192.0.2.2,192.0.2.2", "--node", "1"], "--cluster needs three addresses, not: "),
        (
            ["--cluster", "192.0.2.1,192.0.2.2,here", "--node", "1"],
            "--cluster needs an address of this machine, not: here",
        ),
        (
            ["--cluster", "192.0.2.1,192.0.2.2,192.0.2.3", "--node", "4"],
            "--node needs the number of this machine, not: 4",
        ),
        (["--cluster", "192.0.2.1,192.0.2.2,192.0.2.3"], "--node needs the number of this machine, not: nothing"),
        (["--node", "1"], "--cluster needs three addresses, not: "),
    ],
)
def test_what_is_no_place_among_three_is_refused(three: list[Node], arguments: list[str], error: str) -> None:
    refused = three[0].run("./build.sh", *arguments, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {error}")
    assert not three[0].secrets.exists()


def test_without_an_invitation_nobody_joins(three: list[Node]) -> None:
    refused = three[1].run("./build.sh", *place_of(three, three[1]), check=False, timeout=BUILD_TIMEOUT)
    assert refused.returncode == 1
    assert f"error: there is no invitation {three[1].secrets}/invitation" in refused.stderr
    assert three[1].containers() == []


def place_of(three: list[Node], node: Node) -> list[str]:
    addresses = ",".join(node.machine.address for node in three)
    return ["--cluster", addresses, "--node", str(node.number)]


def become_three(nodes: list[Node]) -> None:
    encryption: dict[str, Any] = {"CLUSTER_ENCRYPTION": "off"}  # not each kernel has it

    def build(node: Node) -> subprocess.CompletedProcess[str]:
        return node.run("./build.sh", *place_of(nodes, node), timeout=BUILD_TIMEOUT, **encryption)

    first, *others = nodes
    with ThreadPoolExecutor() as pool:
        builds = [pool.submit(build, first)]
        bring_invitation(first, others)
        builds += [pool.submit(build, node) for node in others]
        said = [build.result().stdout for build in builds]
    for node, text in zip(nodes, said, strict=True):
        assert f"This machine is number {node.number} of " in text
        assert not (node.secrets / "invitation").exists()
        node.celery = f"{node.prefix}_celery_container_{node.machine.name}"
        node.boot()


def bring_invitation(first: Node, others: list[Node]) -> None:
    invitation = first.secrets / "invitation"
    wait_until(invitation.exists, BUILD_TIMEOUT, "the invitation is written")
    assert stat.S_IMODE(invitation.stat().st_mode) == 0o600
    for node in others:
        node.secrets.mkdir(parents=True, exist_ok=True)
        shutil.copy2(invitation, node.secrets)


def test_three_machines_become_one_stack(three: list[Node]) -> None:
    become_three(three)


def parts(node: Node) -> list[str]:
    roles = (
        node.nginx,
        node.port_container,
        node.flask,
        node.rabbitmq,
        node.celery,
        node.beat,
        node.postgres,
        node.etcd,
    )
    return sorted(roles)


def test_each_machine_has_all_parts_and_they_are_one(whole: list[Node]) -> None:
    for node in whole:
        assert node.containers() == parts(node)
        alive = {worker["name"] for worker in node.http.get("/flask/workers").json()["data"]}
        assert alive >= {other.celery for other in whole}
        job = node.submit_heavy()
        for other in whole:
            other.wait_state(job, "SUCCESS")
    leading = [node for node in whole if "this beat leads" in node.logs(node.beat)]
    assert len(leading) == 1


def test_a_second_build_changes_nothing(whole: list[Node]) -> None:
    before = [node.docker("ps", "--quiet", "--no-trunc") for node in whole]
    whole[1].run("./build.sh", timeout=BUILD_TIMEOUT)
    whole[2].run("./build.sh", *place_of(whole, whole[2]), timeout=BUILD_TIMEOUT)
    assert [node.docker("ps", "--quiet", "--no-trunc") for node in whole] == before


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["./build.sh", "--no-cluster"], "three machines stay three"),
        (["./build.sh", "--cluster", "192.0.2.1"], "three machines stay three"),
        (["./build.sh", "--cluster", "192.0.2.1,192.0.2.2,192.0.2.3", "--node", "1"], "this machine is number 1 of"),
        (["ops/rotate_secrets.sh"], "the passwords of three machines cannot be renewed"),
        (["ops/restore.sh", "README.md"], "a backup is brought back into a stack of one machine"),
        (["ops/replace_node.sh", "1"], "not the number of another machine: 1"),
        (["ops/replace_node.sh"], "not the number of another machine: "),
    ],
)
def test_what_one_of_three_cannot_do_alone_is_refused(whole: list[Node], command: list[str], error: str) -> None:
    before = whole[0].docker("ps", "--quiet", "--no-trunc")
    refused = whole[0].run(command[0], *command[1:], check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {error}")
    assert whole[0].docker("ps", "--quiet", "--no-trunc") == before


# --- and one dies -----------------------------------------------------------------------------------------------------


def strike(whole: list[Node], dead: Node, jobs: int) -> Line:
    """Kill a machine while jobs are submitted to the others, until these have accepted so many; then it comes back."""
    others = [node for node in whole if node is not dead]
    leads = "leads" if dead is leader(whole) else "follows"
    try:
        with submitting_to(others) as loads:
            dead.die()
            struck = time.monotonic()
            wait_until(
                lambda: all(len(load.accepted) > jobs // 2 and load.accepted_at[-1] > struck + 1 for load in loads),
                60 + jobs,
                "jobs are accepted again",
            )
        check(others, loads)
        places = {str(node.number): "gone" if node is dead else "ok" for node in whole}
        health = "/flask/healthz/background"
        wait_until(lambda: others[0].http.get(health).json()["machines"] == places, 60, "it is told who is gone")
        wait_until(
            lambda: f"{dead.number} gone" in others[1].run("./list_queues.sh").stdout, 60, "list_queues.sh tells it"
        )
    finally:
        began = time.monotonic()
        dead.begin()
    wait_until_whole(whole)
    return Line.of(f"machine {dead.number} dies; its PostgreSQL {leads}", loads, time.monotonic() - began)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_one_after_the_other_dies(whole: list[Node], number: int, jobs: int, lines: list[Line]) -> None:
    lines.append(strike(whole, whole[number - 1], jobs))


def test_machine_after_machine_is_renewed_and_no_job_is_lost(whole: list[Node], lines: list[Line]) -> None:
    """Each renewal replaces all that can be: the settings say otherwise for all of them."""
    more: dict[str, Any] = {
        "WEB_THREADS": "31",
        "CELERY_PREFETCH": "3",
        "POSTGRES_MEMORY": "500m",
        "RABBITMQ_MEMORY": "760m",
    }
    with submitting_to(whole) as loads:
        for node in whole:
            node.run("./build.sh", timeout=BUILD_TIMEOUT, **more)
    check(whole, loads)
    lines.append(Line.of("`./build.sh` renews one machine after the other", loads, 0))
    assert {name for node in whole for name in node.containers()} == {name for node in whole for name in parts(node)}


def test_all_three_are_switched_off_and_on_again(whole: list[Node], lines: list[Line]) -> None:
    jobs = [node.submit("add", a=1, b=2) for node in whole for _ in range(20)]
    for node in whole:
        node.die()
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        list(pool.map(Node.begin, whole))
    wait_until_whole(whole)
    back_after = time.monotonic() - began
    for job in jobs:
        whole[0].wait_state(job, "SUCCESS", timeout=180)
    lines.append(Line("all three are switched off, and on again", len(jobs), back_after=back_after))


def test_another_machine_takes_the_place_of_one_that_is_dead_for_good(whole: list[Node]) -> None:
    dead, (first, *_) = whole[2], whole
    job = first.submit("add", a=1, b=2)
    first.wait_state(job, "SUCCESS")
    refused = first.run("ops/replace_node.sh", "3", check=False)
    assert f"error: the machine {dead.machine.address} is there" in refused.stderr
    dead.die()
    for place in (dead.machine.folder, dead.secrets, dead.db):
        shutil.rmtree(place, ignore_errors=True)
    wait_until(lambda: "Down" in first.docker("node", "ls", "--format", "{{.Status}}"), 60, "the others know it")
    dead.machine.start()
    give_layers([dead.machine], dead, ALL_IMAGES)
    with ThreadPoolExecutor() as pool:
        replaced = pool.submit(first.run, "ops/replace_node.sh", "3", timeout=BUILD_TIMEOUT)
        bring_invitation(first, [dead])
        dead.run("./build.sh", *place_of(whole, dead), timeout=BUILD_TIMEOUT, CLUSTER_ENCRYPTION="off")
        assert "Another machine has joined as number 3." in replaced.result().stdout
    dead.boot()
    wait_until_whole(whole)
    assert dead.status(job)["status"] == "SUCCESS"


def test_a_stack_of_one_machine_becomes_the_first_of_three(whole: list[Node]) -> None:
    first = whole[0]
    for node in whole:
        node.run("./stop.sh", "--purge")
    first.celery = f"{first.prefix}_celery_container"
    first.run("./build.sh", timeout=BUILD_TIMEOUT, LEDGER="postgresql")
    jobs = [first.submit("add", a=1, b=2) for _ in range(20)] + [first.submit_heavy(30) for _ in range(4)]
    become_three(whole)
    wait_until_whole(whole)
    for job in jobs:
        whole[2].wait_state(job, "SUCCESS", timeout=120)
    check(whole, [])
