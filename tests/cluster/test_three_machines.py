"""Three machines, each with all parts of the stack: any one of them may die, and no accepted job is lost.

The tests follow one another: each goes on from where the last one has left the machines.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import pytest

from tests.cluster.conftest import IMAGES, StackOnMachine, give_layers
from tests.stack.test_postgres import Load, submitting
from tests.support.engines import Machine, machines
from tests.support.project import ROOT
from tests.support.stack import BUILD_TIMEOUT, PREFIX, run, wait_until

pytestmark = pytest.mark.timeout(2 * BUILD_TIMEOUT)

ALL_IMAGES = (*IMAGES, "patroni", "etcd")


class Node(StackOnMachine):
    """One of the three: its scripts run there, in a copy of the project."""

    def __init__(self, number: int, machine: Machine, folder: Path) -> None:
        super().__init__(machine, folder, prefix=f"{PREFIX}_three", root=folder / "project")
        self.number = number
        self.etcd = f"{self.prefix}_etcd_container"
        self.celery += f"_{machine.name}"
        #: What systemd would keep running.
        self._starter: subprocess.Popen[bytes] | None = None
        files = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]).stdout.split("\0")
        for file in filter(None, files):
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, self.root / file)

    @property
    def is_on_postgresql(self) -> bool:
        return True

    def run(
        self, script: str, *arguments: str, check: bool = True, timeout: float = 300, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return run(self._there(script, *arguments), env=self.env | env, check=check, timeout=timeout)

    def begin(self) -> None:
        """Have the machine come back, and what systemd starts there."""
        self.machine.start()
        self.boot()

    def boot(self) -> None:
        self._starter = subprocess.Popen(self._there("ops/start_again.sh"), env=os.environ | self.env, stdin=subprocess.DEVNULL)

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

    def _there(self, script: str, *arguments: str) -> list[str]:
        command = f'cd "{self.root}" && exec "$0" "$@"'
        return [*self.machine.inside, "bash", "-c", command, f"./{script.removeprefix('./')}", *arguments]


@pytest.fixture(scope="module")
def three(engines: None, place: Path) -> Iterator[list[Node]]:
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
    for node in three:
        wait_until(lambda node=node: node.containers(), 60, f"{node.machine.name} is there")
        node.wait_healthy(timeout=120)
    wait_until(three[0].members, 120, "one PostgreSQL leads and two follow", lambda how: sorted(how.values()) == PLACES)
    wait_until(three[0].copies, 60, "each queue is on all three", lambda copies: copies == [3, 3, 3])
    return three


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
        (["--cluster", "192.0.2.1,192.0.2.2", "--node", "1"], "--cluster needs three addresses, not: 192.0.2.1,192.0.2.2"),
        (["--cluster", "192.0.2.1,192.0.2.2,192.0.2.2", "--node", "1"], "--cluster needs three addresses, not: "),
        (["--cluster", "192.0.2.1,192.0.2.2,here", "--node", "1"], "--cluster needs an address of this machine, not: here"),
        (["--cluster", "192.0.2.1,192.0.2.2,192.0.2.3", "--node", "4"], "--node needs the number of this machine, not: 4"),
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


def test_three_machines_become_one_stack(three: list[Node]) -> None:
    encryption = {"CLUSTER_ENCRYPTION": "off"}  # not each kernel has it
    first = three[0]
    with ThreadPoolExecutor() as pool:

        def build(node: Node) -> subprocess.CompletedProcess[str]:
            return node.run("./build.sh", *place_of(three, node), timeout=BUILD_TIMEOUT, **encryption)

        builds = [pool.submit(build, first)]
        invitation = first.secrets / "invitation"
        wait_until(invitation.exists, BUILD_TIMEOUT, "the invitation is written")
        assert stat.S_IMODE(invitation.stat().st_mode) == 0o600
        for node in three[1:]:
            node.secrets.mkdir(parents=True, exist_ok=True)
            shutil.copy2(invitation, node.secrets)
            builds.append(pool.submit(build, node))
        said = [build.result().stdout for build in builds]
    for node, text in zip(three, said, strict=True):
        assert f"This machine is number {node.number} of " in text
        assert not (node.secrets / "invitation").exists()
        node.boot()


def test_each_machine_has_all_parts_and_they_are_one(whole: list[Node]) -> None:
    workers = {node.celery for node in whole}
    for node in whole:
        parts = (node.nginx, node.port_container, node.flask, node.rabbitmq, node.celery, node.beat, node.postgres, node.etcd)
        assert node.containers() == sorted(parts)
        alive = {worker["name"] for worker in node.http.get("/flask/workers").json()["data"]}
        assert alive >= workers
        job = node.submit_heavy()
        for other in whole:
            other.wait_state(job, "SUCCESS")
    leading = [node for node in whole if "this beat leads" in node.logs(node.beat)]
    assert len(leading) == 1


def test_a_second_build_changes_nothing(whole: list[Node]) -> None:
    before = [node.docker("ps", "--quiet", "--no-trunc") for node in whole]
    whole[1].run("./build.sh", timeout=BUILD_TIMEOUT)
    assert [node.docker("ps", "--quiet", "--no-trunc") for node in whole] == before


# --- and one dies -----------------------------------------------------------------------------------------------------


def test_the_one_that_leads_dies_and_no_job_is_lost(whole: list[Node]) -> None:
    dead = leader(whole)
    others = [node for node in whole if node is not dead]
    with submitting_to(others) as loads:
        dead.die()
        accepted = [len(load.accepted) for load in loads]
        wait_until(
            lambda: all(len(load.accepted) > 50 + before for load, before in zip(loads, accepted, strict=True)),
            60,
            "jobs are accepted again",
        )
    check(others, loads)
    health = others[0].http.get("/flask/healthz/background").json()
    assert health["machines"] == {str(node.number): "gone" if node is dead else "ok" for node in whole}
    assert f"{dead.number} gone" in others[1].run("./list_queues.sh").stdout.splitlines()[-1]
    dead.begin()


def test_machine_after_machine_is_renewed_and_no_job_is_lost(whole: list[Node]) -> None:
    """Each renewal replaces all that can be: the settings say otherwise for all of them."""
    more = {"WEB_THREADS": "31", "CELERY_PREFETCH": "3", "POSTGRES_MEMORY": "500m", "RABBITMQ_MEMORY": "760m"}
    with submitting_to(whole) as loads:
        for node in whole:
            node.run("./build.sh", timeout=BUILD_TIMEOUT, **more)
    check(whole, loads)
    assert not [name for name in chain(*(node.containers() for node in whole)) if not name.startswith(whole[0].prefix)]


def test_all_three_are_switched_off_and_on_again(whole: list[Node]) -> None:
    jobs = [node.submit("add", a=1, b=2) for node in whole for _ in range(20)]
    for node in whole:
        node.die()
    with ThreadPoolExecutor() as pool:
        list(pool.map(Node.begin, whole))
    for job in jobs:
        wait_until(lambda job=job: whole[0].status(job)["status"] == "SUCCESS", 180, "the job succeeds")
