"""Several machines, each with a copy of the project, and what the tests of two of them share."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.cluster import table
from tests.support.engines import Machine, machines, missing
from tests.support.project import ROOT
from tests.support.stack import BUILD_TIMEOUT, PREFIX, Stack, run
from tests.support.terminal import copy_project

IMAGES = ("flask", "celery", "rabbitmq", "nginx", "postgres")
BUILD_IMAGES = """
set -Eeuo pipefail
for part in settings.sh ops/lib.sh ops/images.sh ops/supply.sh; do source "$part"; done
ops/base_image.sh
build_python
for name; do build_image "$name"; done
build_supply
"""


class StackOnMachine(Stack):
    """A copy of the project on one of the machines, and the stack there, if there is one."""

    def __init__(self, machine: Machine, folder: Path, prefix: str = f"{PREFIX}_cluster") -> None:
        super().__init__(prefix, folder, root=folder / "project")
        self.machine = machine
        self.url = f"http://{machine.address}:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.env |= machine.env | {"BIND_ADDRESS": machine.address} | OPEN | CLASSIC
        copy_project(self.root)

    def run(
        self, script: str, *arguments: str, check: bool = True, timeout: float = 300, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return run(self.there(script, *arguments), env=self.env | env, check=check, timeout=timeout)

    def there(self, script: str, *arguments: str) -> list[str]:
        """Return the command that runs a script on this machine."""
        command = f'cd "{self.root}" && exec "$0" "$@"'
        return [*self.machine.inside, "bash", "-c", command, f"./{script.removeprefix('./')}", *arguments]


#: The clients of the tests are too many for the limits that a stack beyond loopback begins with.
OPEN = {"AUTH": "off", "CLIENT_REQUESTS": "0"}
#: Only the classic builder's layers can be carried to another engine and be used there again.
CLASSIC = {"DOCKER_BUILDKIT": "0"}


@dataclass
class Cluster:
    """What the tests have to do with."""

    #: The machine with the stack, and the one that joins it.
    first: StackOnMachine
    second: StackOnMachine
    #: A copy of the invitation that the second one has used.
    copy: Path = Path()

    @property
    def stack(self) -> Stack:
        return self.first


@pytest.fixture(scope="session")
def engines(docker_engine: None) -> None:
    """Require what it takes to have several engines."""
    lacks = missing()
    if lacks and os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the tests of several machines, and there is no {lacks}", pytrace=False)
    if lacks:
        pytest.skip(f"several engines on one machine need {lacks}")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Yield a folder for machines: see :attr:`Machine.folder`."""
    with tempfile.TemporaryDirectory(prefix="warren_", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def bag(place: Path) -> Path:
    """Return a folder for what is carried from one machine to another: both see it."""
    return Path(tempfile.mkdtemp(dir=place))


@pytest.fixture(scope="module")
def cluster(engines: None, place: Path) -> Iterator[Cluster]:
    with machines(place / "m", 2) as (first, second):
        made = Cluster(StackOnMachine(first, place / "first"), StackOnMachine(second, place / "second"))
        give_layers([first], made.stack, IMAGES)
        try:
            yield made
            made.stack.check_ledger()
        finally:
            made.stack.http.close()


def give_layers(to: list[Machine], stack: Stack, images: Sequence[str]) -> None:
    """Build the images with the engine of this machine, which has most layers already, and carry them over.

    The other engines cannot reach any registry. With all layers and where each comes from, they need not.
    """
    run(["bash", "-c", BUILD_IMAGES, "build", *images], env=on_this_machine(stack), timeout=BUILD_TIMEOUT)
    carry_layers([f"{stack.prefix}_{name}" for name in (*images, "supply")], to)


def on_this_machine(stack: Stack) -> dict[str, str]:
    """Return the settings of a stack, but for the engine of this machine."""
    return stack.env | {"DOCKER_HOST": os.environ.get("DOCKER_HOST", "")}


def carry_layers(names: list[str], to: list[Machine]) -> None:
    """Carry images of this machine's engine to others, with all layers that they consist of, and the base."""
    layers = [run(["docker", "history", "--quiet", name]).stdout.split() for name in names]
    base = run(["bash", "-c", "source ./settings.sh; printf %s $BASE"]).stdout
    carry([base, *names, *{layer for found in layers for layer in found if layer != "<missing>"}], to)


def carry(images: list[str], to: list[Machine], source: dict[str, str] | None = None) -> None:
    """Carry images from one engine to others, as docs/beyond_one_machine.md says."""
    save = f"docker save {' '.join(images)}"

    def load(machine: Machine) -> None:
        command = f"{save} | DOCKER_HOST={machine.env['DOCKER_HOST']} docker load"
        run(["bash", "-o", "pipefail", "-c", command], env=source, cwd=ROOT, timeout=300)

    with ThreadPoolExecutor() as pool:
        list(pool.map(load, to))


@pytest.fixture(scope="session")
def jobs(request: pytest.FixtureRequest) -> int:
    """How many jobs are submitted while something breaks, at least."""
    number = request.config.getoption("--jobs")
    if number is None:
        pytest.skip("only in the full run, because it takes long: ./test.sh cluster --jobs 1000")
    return int(number)


@pytest.fixture(scope="package")
def lines(request: pytest.FixtureRequest, jobs: int) -> Iterator[list[table.Line]]:
    """Collect what happened; a full run writes it into the page."""
    found: list[table.Line] = []
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", *found, sep="\n")
    if not request.session.testsfailed:
        table.write(found)
