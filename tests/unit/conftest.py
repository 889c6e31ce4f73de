"""A real ledger, on SQLite in a temporary folder and on PostgreSQL, for tests that need no container."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.commands.migrate import upgrade
from jobs.ledger.database import Ledger
from tests.support import postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server for the tests of this process."""
    programs = postgresql.programs()
    if programs is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed, but CI must run its tests: ./test.sh --install", pytrace=False)
        pytest.skip("PostgreSQL is not installed: ./test.sh --install installs it")
    with postgresql.running(programs) as running:
        yield running


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new ledger on SQLite: to copy it takes less time than to make one."""
    file = tmp_path_factory.mktemp("migrated") / "backend.db"
    made = Ledger(f"sqlite:///{file}")
    upgrade(made)
    made.dispose()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> Iterator[Ledger]:
    """A new ledger with the current schema; for tests of one database only see :mod:`tests.support.databases`."""
    if request.param == "sqlite":
        made = Ledger(f"sqlite:///{shutil.copy(migrated_file, tmp_path)}")
        yield made
        made.dispose()
    else:
        server: postgresql.Server = request.getfixturevalue("server")
        with server.database() as url:
            made = Ledger(url)
            yield made
            made.dispose()
