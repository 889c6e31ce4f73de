"""The stack that is broken on purpose, its mail server, and the report at the end."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest

from tests.chaos import report
from tests.chaos.drive import FEW_JOBS, Plan, Run, Subject, is_well
from tests.chaos.faults import FAULTS
from tests.chaos.mailserver import MailServer
from tests.chaos.textbook import LOSING
from tests.support.project import ROOT
from tests.support.stack import PREFIX, Stack, run, running

RUNS: pytest.StashKey[list[Run]] = pytest.StashKey()
#: Lines of the report that other test processes have sent.
LINES: pytest.StashKey[list[report.Line]] = pytest.StashKey()
#: Large enough for the ledger of the full run and its log of 40 MB, small enough for the memory of the containers.
SMALL_DISK = "192m"

SEED: pytest.StashKey[str] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUNS] = []
    config.stash[LINES] = []
    config.stash[SEED] = config.getoption("--chaos-seed") or secrets.token_hex(4)


@pytest.fixture(scope="session")
def runs(pytestconfig: pytest.Config) -> list[Run]:
    """Return the list of runs; the report is made from it."""
    return pytestconfig.stash[RUNS]


@pytest.fixture(scope="session")
def plan(pytestconfig: pytest.Config) -> Plan:
    """Return the size of the run that the options ask for."""
    jobs = pytestconfig.getoption("--jobs")
    return Plan(jobs=jobs or FEW_JOBS, full=jobs is not None, seed=pytestconfig.stash[SEED])


@pytest.fixture(scope="package")
def stack(
    docker_engine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Stack]:
    """Return a stack for these tests only. Its mail server is outside of it, so that no fault stops the mail server."""
    with running_with_mail(new_stack("chaos", tmp_path_factory, pytestconfig)) as stack:
        yield stack


@pytest.fixture(scope="package")
def warren(stack: Stack) -> Subject:
    """Return Warren as the subject of the tests."""
    return Subject(name="Warren", stack=stack, mail=mail_server(stack), well=is_well)


@pytest.fixture(scope="module")
def warren_on_a_small_disk(
    docker_engine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Subject]:
    """Return Warren with its ledger on a small file system in memory, which a test can fill."""
    stack = new_stack("disk", tmp_path_factory, pytestconfig)
    stack.db.mkdir()
    run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "warren_small_disk", str(stack.db)])
    try:
        with running_with_mail(stack):
            yield Subject(name="Warren", stack=stack, mail=mail_server(stack), well=is_well)
    finally:
        run(["umount", "--lazy", str(stack.db)])


def new_stack(name: str, folders: pytest.TempPathFactory, config: pytest.Config) -> Stack:
    closed = config.getoption("--closed")
    stack = Stack(f"{PREFIX}_{name}", folders.mktemp(name), tls=closed)
    stack.env["AUTH"] = "on" if closed else "off"
    return stack


@contextmanager
def running_with_mail(stack: Stack) -> Iterator[Stack]:
    mail = mail_server(stack)
    stack.env["SMTP_URL"] = mail.url
    mail.remove()  # a run that was killed may have left it
    with running(stack):
        try:
            if stack.env["AUTH"] == "on":
                stack.let_in()
            mail.start()
            yield stack
        finally:
            if os.environ.get("WARREN_KEEP_STACK") != "1":
                mail.remove()


def mail_server(stack: Stack) -> MailServer:
    return MailServer(stack, f"{stack.prefix}_front_network", f"{stack.prefix}_celery")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where several processes run the tests, send the lines of the report to the one that prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["chaos"] = [asdict(report.line_of(run)) for run in session.config.stash[RUNS]]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what such a process has sent."""
    node.config.stash[LINES] += [report.Line(**line) for line in getattr(node, "workeroutput", {}).get("chaos", [])]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the report. After a full run write docs/reliability.md, if every fault has been run with this seed."""
    lines = config.stash[LINES] + [report.line_of(run) for run in config.stash[RUNS]]
    if not lines:
        return
    jobs, seed = config.getoption("--jobs"), config.stash[SEED]
    terminalreporter.section(f"what became of the jobs (--chaos-seed {seed})")
    terminalreporter.write(report.table(lines))
    if jobs is None or config.cache is None or config.getoption("--closed"):
        return
    key = f"warren/chaos-{seed}-{jobs}"
    known = config.cache.get(key, {}) | {f"{line.subject}, {line.fault}": asdict(line) for line in lines}
    config.cache.set(key, known)
    wanted = [f"Warren, {fault.name}" for fault in FAULTS.values() if not fault.missing()]
    wanted += [f"textbook, {name}" for name in LOSING]
    if missing := [name for name in wanted if name not in known]:
        terminalreporter.line(f"To write docs/reliability.md, run with --chaos-seed {seed}: {'; '.join(missing)}")
    else:
        report.write(
            ROOT / "docs/reliability.md", [report.Line(**known[name]) for name in wanted], Plan(jobs=jobs, seed=seed)
        )
