"""Kinds of jobs as the API and the pages show them, with a real ledger."""

import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from jobs.catalogue import JOB_TYPES
from jobs.ledger import summaries
from jobs.ledger.database import Ledger
from jobs.ledger.records import new_id
from jobs.ledger.schema import job
from jobs.states import State

BROWSER = {"Accept": "text/html"}


def ended(ledger: Ledger, state: State, count: int, *, ran: float = 1.0) -> None:
    """Write and add up jobs of the kind `divide` that waited for 2 s and ran for some seconds."""
    now = time.time()
    row = {
        "type": "divide",
        "queue": "arithmetic",
        "params": {},
        "state": state,
        "created_at": now - ran - 2,
        "started_at": now - ran,
        "ended_at": now,
        "attempts": 1,
    }
    with ledger.writing() as connection:
        connection.execute(insert(job), [row | {"id": new_id()} for _ in range(count)])
    summaries.add_up(ledger, now)


def get(client: FlaskClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_json()


def test_all_kinds_are_listed_with_their_figures(client: FlaskClient, ledger: Ledger) -> None:
    ended(ledger, State.SUCCESS, 6)
    ended(ledger, State.FAILURE, 2, ran=10)
    ended(ledger, State.REVOKED, 1)
    for window in ("1h", "24h", "7d"):
        answer = get(client, f"/flask/kinds?window={window}")
        assert answer["window"] == window
        assert [kind["name"] for kind in answer["data"]] == list(JOB_TYPES)
        found = {kind["name"]: kind for kind in answer["data"]}
        divide = found["divide"]
        assert (divide["succeeded"], divide["failed"], divide["cancelled"]) == (6, 2, 1)
        assert divide["failure_rate"] == 0.25
        assert divide["waiting"]["p99"] == pytest.approx(2, rel=0.1)
        assert divide["running"]["p50"] == pytest.approx(1, rel=0.1)
        assert divide["running"]["p95"] == pytest.approx(10, rel=0.1)
        assert found["add"]["running"] == {"p50": None, "p95": None, "p99": None}
        assert found["add"]["failure_rate"] is None


def test_one_kind_has_all_windows_and_their_slots(client: FlaskClient, ledger: Ledger) -> None:
    ended(ledger, State.SUCCESS, 3)
    answer = get(client, "/flask/kinds/divide")
    assert (answer["name"], answer["queue"]) == ("divide", "arithmetic")
    assert {name: len(window["slots"]) for name, window in answer["windows"].items()} == {
        "1h": 60,
        "24h": 24,
        "7d": 168,
    }
    for window in answer["windows"].values():
        assert sum(slot["succeeded"] for slot in window["slots"]) == 3
        assert window["began_at"] == window["slots"][0]["began_at"]


def test_the_pages_show_them(client: FlaskClient, ledger: Ledger) -> None:
    assert "divide" in client.get("/flask/kinds", headers=BROWSER).text
    ended(ledger, State.SUCCESS, 3)
    ended(ledger, State.FAILURE, 1)
    page = client.get("/flask/kinds/divide", headers=BROWSER).text
    assert page.count('class="failed"') == 3, "one bar in each window"
    assert page.count("25.0 %") == 3
    assert page.count('aria-label="4 jobs ended, 1 of them failed; at most ') == 3


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_unknown_kinds_and_windows_are_problems(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get("/flask/kinds/juggling", headers=headers).status_code == 404
    assert client.get("/flask/kinds?window=2h", headers=headers).status_code == 422
