"""A real ledger in a temporary folder, for tests that need no container."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.commands.migrate import upgrade
from jobs.ledger.database import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new SQLite ledger with the current schema."""
    made = Ledger(f"sqlite:///{tmp_path}/backend.db")
    upgrade(made)
    yield made
    made.dispose()
