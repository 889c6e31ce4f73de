"""Each route is in the table of docs/security.md, with the role that the code asks for."""

from pathlib import Path

import pytest
from webapp.auth.roles import needed

from jobs.ledger.records import Role
from tests.support.routes import OF_NGINX, documented, routes


def test_the_table_names_every_route(tmp_path: Path) -> None:
    assert sorted(documented()) == sorted([*routes(tmp_path), *OF_NGINX])


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_route_that_is_named_nowhere_can_be_looked_at_by_a_viewer(method: str) -> None:
    assert needed("new.route", method) is Role.VIEWER
    assert needed(None, method) is Role.VIEWER


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "INVENTED"])
def test_a_route_that_is_named_nowhere_can_be_changed_by_an_operator(method: str) -> None:
    assert needed("new.route", method) is Role.OPERATOR
    assert needed(None, method) is Role.OPERATOR
