"""What all tests share: options, a marker for each folder, the stack, and a clean end when CI stops the run."""

import fcntl
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.project import ROOT
from tests.support.stack import PREFIX, Stack, docker_answers, running

#: How many lines of each container's log the report of a failed test shows.
LOG_LINES = 30

#: Folders whose tests share a stack of their own, so that one process runs all of them. From the other folders each
#: process takes file by file: so both end at about the same time.
IN_ONE_PIECE = ("chaos", "browser", "cluster")
#: What takes longest comes first, the short ones at the end fill the gaps.
ORDER = ("chaos", "browser", "cluster", "stack", "unit")

# Some machines are slow, so no example has a time limit. CI always runs the same examples: a run that fails then means
# that the change broke something. At home each run tries new examples.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "home")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of single tests here, because pytest looks for options in this file only."""
    parser.addoption(
        "--schemathesis-examples",
        type=int,
        default=30,
        metavar="N",
        help="how many requests Schemathesis makes up for each operation of the API (default: 30)",
    )
    parser.addoption(
        "--interleavings",
        type=int,
        default=20,
        metavar="N",
        help="how many random orders of up to 50 moves the test of a job's states tries (default: 20)",
    )
    parser.addoption(
        "--power-cuts",
        type=int,
        default=150,
        metavar="N",
        help="at how many moments of a load the power is cut (default: 150)",
    )
    parser.addoption(
        "--jobs-of-a-day",
        type=int,
        default=300,
        metavar="N",
        help="how many jobs come and go while the test watches the size of the write-ahead log (default: 300)",
    )
    parser.addoption(
        "--malformed",
        type=int,
        default=400,
        metavar="N",
        help="how many malformed requests are made up and sent (default: 400)",
    )
    parser.addoption(
        "--jobs",
        type=int,
        metavar="N",
        help="run all of tests/chaos and tests/cluster, N jobs for each fault, and write docs (default: a reduced set)",
    )
    parser.addoption(
        "--closed",
        action="store_true",
        help="run tests/chaos on a stack with login and TLS; the report is printed, and not written",
    )
    parser.addoption(
        "--chaos-seed",
        metavar="TEXT",
        help="use the same jobs and moments as the run of tests/chaos that printed this seed, and add to its report "
        "(default: a new seed)",
    )


def pytest_configure() -> None:
    """Let SIGTERM end the run like Ctrl-C, so that fixtures still remove their containers."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Make other runs with the same prefix wait until this one has ended: they use the same container names."""
    config = session.config
    if hasattr(config, "workerinput") or all("tests/unit" in argument for argument in config.args):
        return
    lock = (Path(tempfile.gettempdir()) / f"{PREFIX}.lock").open("w")
    config.add_cleanup(lock.close)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        config.get_terminal_writer().line("waiting for another run of the stack tests on this machine ...")
        fcntl.flock(lock, fcntl.LOCK_EX)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of its folder: a test in tests/stack gets `stack`. Bring the folders in order."""
    for item in items:
        item.add_marker(_folder(item.path.relative_to(ROOT)))
    items.sort(key=lambda item: ORDER.index(_folder(item.path.relative_to(ROOT))))


def _folder(path: Path) -> str:
    return path.parts[1]


class OneProcessForEachStack(LoadScopeScheduling):
    """Gives tests that belong together to one of the processes that run the tests."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        return _folder(path) if _folder(path) in IN_ONE_PIECE else str(path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessForEachStack:
    """Say which process gets which tests."""
    return OneProcessForEachStack(config, log)


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Require a Docker engine."""
    if not docker_answers():
        if os.environ.get("CI") == "true":
            pytest.fail("no Docker engine answers, but CI must run the stack tests: see `docker info`", pytrace=False)
        pytest.skip("no Docker engine answers: ./test.sh --install installs one")


@pytest.fixture(scope="session")
def stack(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack that the tests of tests/stack share. ./build.sh builds it; it is removed after the last test."""
    with running(Stack(PREFIX, tmp_path_factory.mktemp("stack"))) as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of each container's log to the report of a failed test."""
    report = yield
    stacks = {id(found): found for found in _stacks(item)}
    for stack in stacks.values() if report.failed and report.when != "teardown" else ():
        try:
            for container in stack.containers():
                report.sections.append((f"last lines of {container}", stack.logs(container, LOG_LINES)))
        except Exception as error:  # its machine may be dead
            report.sections.append((f"the stack {stack.prefix} tells nothing", str(error)))
    return report


def _stacks(item: pytest.Item) -> Iterator[Stack]:
    """Yield the stacks that the fixtures gave to a test, by themselves or in lists."""
    for value in getattr(item, "funcargs", {}).values():
        for each in value if isinstance(value, list) else [value]:
            stack = getattr(each, "stack", each)
            if isinstance(stack, Stack):
                yield stack
