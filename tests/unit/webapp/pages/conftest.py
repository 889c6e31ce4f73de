"""The application on a real ledger. No RabbitMQ is needed for the pages."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from webapp import create_app
from webapp import intake as intakes

from jobs.ledger import database
from jobs.ledger.database import Ledger
from jobs.settings import settings


@pytest.fixture
def client(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The application on the ledger of this test."""
    caches = (settings, database.ledger, intakes.intake)
    monkeypatch.setenv("DATABASE_URL", ledger.url)
    monkeypatch.setenv("BROKER_HOST", "127.0.0.1:1")  # where nothing listens
    for cache in caches:
        cache.cache_clear()
    yield create_app().test_client()
    for cache in caches:
        cache.cache_clear()
