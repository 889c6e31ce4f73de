"""The application without a server."""

from collections.abc import Iterator

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from webapp import create_app
from webapp import intake as intakes

from jobs.ledger import database
from jobs.ledger.database import Ledger
from jobs.settings import settings


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    """The application, with a ledger that nothing here asks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'backend.db'}")
        settings.cache_clear()
        yield create_app()
    settings.cache_clear()


@pytest.fixture
def client(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The application on the ledger of this test. No RabbitMQ is needed."""
    caches = (settings, database.ledger, intakes.intake)
    monkeypatch.setenv("DATABASE_URL", ledger.url)
    monkeypatch.setenv("BROKER_HOST", "127.0.0.1:1")  # where nothing listens
    for cache in caches:
        cache.cache_clear()
    yield create_app().test_client()
    for cache in caches:
        cache.cache_clear()
