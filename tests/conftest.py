"""What every test shares: markers from folders, how Hypothesis searches, and a clean end when CI stops the run."""

import os
import signal
from types import FrameType

import pytest
from hypothesis import settings

from tests.project import ROOT

# Machines differ in speed: no example may fail for being slow. CI repeats the same examples, so that a red run means
# that the change broke something; at home each run tries new ones.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "home")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of single tests; pytest looks for options in this file only."""
    parser.addoption(
        "--schemathesis-examples",
        type=int,
        default=30,
        metavar="N",
        help="requests that Schemathesis makes up for each operation of the API (default: 30)",
    )
    parser.addoption(
        "--interleavings",
        type=int,
        default=20,
        metavar="N",
        help="orders of up to 50 moves each in which the state machine of a job is tried (default: 20)",
    )
    parser.addoption(
        "--power-cuts",
        type=int,
        default=150,
        metavar="N",
        help="moments of a load at which the power is cut (default: 150)",
    )
    parser.addoption(
        "--jobs-of-a-day",
        type=int,
        default=300,
        metavar="N",
        help="jobs that come and go while the size of the write-ahead log is watched (default: 300)",
    )


def pytest_configure() -> None:
    """Make SIGTERM end the run like Ctrl-C, so that fixtures still remove their containers."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of the folder it stands in: tests/stack/... gets `stack`."""
    for item in items:
        item.add_marker(item.path.relative_to(ROOT / "tests").parts[0])
