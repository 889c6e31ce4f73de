"""Recurring jobs as the API changes them, with a real ledger."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from webapp import operations

NIGHTLY = {"name": "nightly", "cron": "30 2 * * *", "task_type": "export"}


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    """The same as for other tests, with a schedule."""
    assert client.post("/flask/schedules", json=NIGHTLY).status_code == 201
    return client


def look(client: FlaskClient) -> Any:
    return client.get("/flask/schedules/nightly").get_json()


def test_two_who_change_different_things_at_once_both_do(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = operations.find_schedule("nightly")
    client.patch("/flask/schedules/nightly", json={"paused": True})
    filters = {"filters": {"done": True}}
    with monkeypatch.context() as patch:
        patch.setattr(operations, "find_schedule", lambda _name: earlier)  # read just before the other one's change
        client.patch("/flask/schedules/nightly", json={"input_params": filters})
    now = operations.find_schedule("nightly")
    assert now == replace(earlier, paused=True, next_run_at=None, params=filters)


def test_what_is_said_again_changes_nothing(client: FlaskClient) -> None:
    before = look(client)
    answer = client.patch("/flask/schedules/nightly", json={"cron": NIGHTLY["cron"], "paused": False})
    assert (answer.status_code, answer.get_json()) == (200, before)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("schedules", NIGHTLY | {"every": 60}, "body"),
        ("tasks/cancel", {}, "body"),
        ("tasks/retry", {"created_from": "2026-01-02T00:00:00Z", "created_to": "2026-01-01T00:00:00Z"}, "created_to"),
    ],
)
def test_what_is_wrong_is_named(client: FlaskClient, path: str, body: dict[str, Any], field: str) -> None:
    answer = client.post(f"/flask/{path}", json=body)
    assert answer.status_code == 422
    problem = answer.get_json()
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["detail"].startswith(f"{field}: ")
