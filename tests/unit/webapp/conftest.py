"""The application without a server."""

from collections.abc import Iterator

import pytest
from apiflask import APIFlask
from webapp import create_app

from jobs.settings import settings


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """The application, with a ledger that nothing here asks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'backend.db'}")
        settings.cache_clear()
        yield create_app()
    settings.cache_clear()
