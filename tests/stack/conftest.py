"""Fixtures of the tests that speak to real containers."""

import fcntl
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.stack.support import PREFIX, Stack, docker_answers, running

LOG_LINES = 30


@pytest.fixture(scope="session")
def docker_engine(pytestconfig: pytest.Config) -> Iterator[None]:
    """Demand an engine, and keep other runs of this prefix out until this one is done: they use the same names."""
    if not docker_answers():
        if os.environ.get("CI") == "true":
            pytest.fail("no Docker engine answers, and CI must run the stack tests: see `docker info`", pytrace=False)
        pytest.skip("no Docker engine answers: ./test.sh --install brings one")
    with (Path(tempfile.gettempdir()) / f"{PREFIX}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytestconfig.get_terminal_writer().line("waiting for another run of the stack tests on this machine ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def stack(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack that all tests share, built by ./build.sh and removed when the last of them is done."""
    with running(Stack(PREFIX, tmp_path_factory.mktemp("stack"))) as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of each container's log to the report of a test that failed."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        for container in stack.containers():
            report.sections.append((f"last lines of {container}", stack.logs(container, LOG_LINES)))
    return report
