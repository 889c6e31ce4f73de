"""A request whose connection to the ledger is lost: `has_written` decides whether it is done again."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from webapp.intake import intake

from jobs.ledger.database import ledger
from tests.support.databases import on_postgresql


@pytest.fixture
def asked(client: FlaskClient) -> list[str]:
    """Add two pages that lose their connection at the first visit, one of them after it has written something."""
    app, asked = client.application, list[str]()
    assert isinstance(app, Flask)

    def lose(path: str) -> str:
        asked.append(path)
        with ledger().reading() as connection:
            if asked.count(path) == 1:
                connection.execute(select(func.pg_terminate_backend(func.pg_backend_pid())))
        return "answered"

    def write_and_lose() -> str:
        intake().write(lambda connection: None)
        return lose("/writes")

    app.add_url_rule("/reads", view_func=lambda: lose("/reads"), endpoint="reads", methods=["GET", "POST"])
    app.add_url_rule("/writes", view_func=write_and_lose, endpoint="writes", methods=["POST"])
    return asked


@on_postgresql
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_that_only_read_is_done_again(client: FlaskClient, asked: list[str], method: str) -> None:
    answer = client.open("/reads", method=method)
    assert (answer.status_code, answer.text) == (200, "answered")
    assert asked == ["/reads", "/reads"]


@on_postgresql
def test_one_that_may_have_written_is_not(client: FlaskClient, asked: list[str]) -> None:
    answer = client.post("/writes")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert asked == ["/writes"]
