"""Many jobs at once: counted, confirmed, undone. What a browser without scripts does."""

import re
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobs.catalogue import CancelFilter
from jobs.ledger import bulk, moves
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.states import State

BROWSER = {"Accept": "text/html"}


def add(ledger: Ledger, state: State = State.PENDING, **more: Any) -> str:
    new = NewJob(**{"type": "heavy", "queue": "heavy", "params": {}, **more})
    with ledger.writing() as connection:
        moves.add(connection, new)
        if state is State.REVOKED:
            moves.cancel(connection, new.id)
    return new.id


def post(client: FlaskClient, address: str, *ids: str, **fields: str) -> Any:
    return client.post(address, data={"task_id": list(ids), **fields}, headers=BROWSER)


def confirm(client: FlaskClient, page: str) -> str:
    """Say yes on the page that asks; return the id of the job that does it."""
    address = re.findall(r'<form class="line" method="post" action="([^"]+)"', page)[0].replace("&amp;", "&")
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)"', page):
        fields.setdefault(name, []).append(value)
    answer = client.post(address, data=fields, headers=BROWSER)
    assert answer.status_code == 303
    assert "said" not in answer.headers["Location"]
    return str(answer.headers["Location"].rpartition("following=")[2])


def found(client: FlaskClient, task_id: str) -> Any:
    return client.get(f"/flask/tasks/{task_id}").get_json()


def test_selected_jobs_are_counted_and_only_those_are_meant(client: FlaskClient, ledger: Ledger) -> None:
    waiting, cancelled = add(ledger), add(ledger, State.REVOKED)
    add(ledger)
    answer = post(client, "/flask/ui/jobs/cancel?task_type=heavy", waiting, cancelled)
    assert "Yes, cancel 1 job<" in answer.text
    does_it = found(client, confirm(client, answer.text))
    assert (does_it["task_type"], does_it["input_params"]) == ("cancel_jobs", {"task_ids": [waiting, cancelled]})
    answer = post(client, "/flask/ui/jobs/retry", waiting, cancelled)
    assert "Yes, retry 1 job<" in answer.text


def test_all_jobs_of_a_list_are_those_that_were_there_before(client: FlaskClient, ledger: Ledger) -> None:
    jobs = [add(ledger, run_at=time.time() + 60) for _ in range(3)]
    add(ledger)
    add(ledger, type="add", run_at=time.time() + 60)
    list_ = "/flask/ui/jobs/cancel?status=PENDING&scheduled=true&task_type=heavy"
    answer = post(client, list_, all="yes")
    assert "Yes, cancel 3 jobs<" in answer.text
    add(ledger, run_at=time.time() + 60)
    does_it = confirm(client, answer.text)
    with ledger.reading() as connection:
        chosen = CancelFilter.model_validate(found(client, does_it)["input_params"])
        assert bulk.count(connection, chosen) == len(bulk.matching(connection, chosen, does_it)) == len(jobs)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("kind:heavy waiting since:1h", 1),
        ("kind:add", 0),
        ("kind:add kind:heavy", 1),
        ("queue:heavy", 1),
        ("until:1h", 0),
        ("seconds", 1),
        ('"seconds 7"', 1),
        ("hours", 0),
    ],
)
def test_all_jobs_that_were_searched_for_are_meant(client: FlaskClient, ledger: Ledger, words: str, count: int) -> None:
    job = add(ledger, params={"seconds": 7})
    add(ledger, State.REVOKED, params={"seconds": 7})
    answer = client.post("/flask/ui/jobs/cancel", query_string={"q": words}, data={"all": "yes"}, headers=BROWSER)
    assert ("Yes, cancel 1 job<" in answer.text) == bool(count), words
    page = client.get("/flask", query_string={"q": words}, headers=BROWSER).text
    assert ('name="all"' in page) == bool(count), words
    if count:
        does_it = confirm(client, answer.text)
        add(ledger, params={"seconds": 7})
        with ledger.reading() as connection:
            chosen = CancelFilter.model_validate(found(client, does_it)["input_params"])
            (seq,) = bulk.matching(connection, chosen, does_it)
            assert seq == connection.exec_driver_sql(f"SELECT seq FROM job WHERE id = '{job}'").scalar_one()


def test_words_that_would_take_too_long_are_refused(
    client: FlaskClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(ledger, params={"seconds": 7})
    monkeypatch.setattr(bulk, "COUNT_FOR", 0)
    answer = post(client, "/flask/ui/jobs/cancel?q=seconds", all="yes")
    assert answer.status_code == 422
    assert "Add a time such as since:1h" in answer.text


def test_it_is_undone_before_it_begins_and_not_after(client: FlaskClient, ledger: Ledger) -> None:
    job = add(ledger)
    ids = [confirm(client, post(client, "/flask/ui/jobs/cancel", job).text) for _ in range(2)]
    assert found(client, ids[0])["run_at"] > found(client, ids[0])["created_at"]
    page = client.get(f"/flask?following={ids[0]}", headers=BROWSER).text
    assert f'action="/flask/ui/jobs/{ids[0]}/undo"' in page
    answer = post(client, f"/flask/ui/jobs/{ids[0]}/undo?status=PENDING")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/flask?status=PENDING&said=undone")
    assert (found(client, ids[0])["state"], found(client, job)["state"]) == ("REVOKED", "PENDING")
    with ledger.writing() as connection:
        moves.claim(connection, [ids[1]], "w1")
    assert post(client, f"/flask/ui/jobs/{ids[1]}/undo").status_code == 409
    assert found(client, ids[1])["state"] == "STARTED"
    assert "/undo" not in client.get(f"/flask?following={ids[1]}", headers=BROWSER).text
    assert post(client, "/flask/ui/jobs/unknown/undo").status_code == 404


@pytest.mark.parametrize(
    ("address", "fields", "status", "words"),
    [
        ("cancel?status=SUCCESS", {"all": "yes"}, 422, "nothing to cancel"),
        ("retry?status=STARTED", {"all": "yes"}, 422, "nothing to retry"),
        ("retry?q=kind:", {"all": "yes"}, 422, "no value after it"),
        # Nothing but what the list shows:
        ("cancel?failure=0123456789abcdef", {"all": "yes"}, 422, "nothing to cancel"),
        ("retry?scheduled=true", {"all": "yes"}, 422, "nothing to retry"),
        ("retry", {"all": "yes"}, 200, "There is nothing to retry"),
        ("cancel?status=nonsense", {"all": "yes"}, 422, "status"),
        ("cancel/confirmed", {"before": "2026-01-01T00:00:00Z"}, 422, "task_ids"),
        ("cancel/confirmed", {"all": "yes", "before": "soon"}, 422, "before"),
    ],
)
def test_what_makes_no_sense_is_told(
    client: FlaskClient, address: str, fields: dict[str, str], status: int, words: str
) -> None:
    answer = post(client, f"/flask/ui/jobs/{address}", **fields)
    assert answer.status_code == status
    assert words in answer.text


def test_nothing_selected_leads_back(client: FlaskClient) -> None:
    answer = post(client, "/flask/ui/jobs/cancel?task_type=heavy")
    assert answer.headers["Location"] == "/flask?task_type=heavy&said=none"
    assert "No job is selected." in client.get(answer.headers["Location"], headers=BROWSER).text


def test_a_list_offers_what_can_be_done_with_its_jobs(client: FlaskClient, ledger: Ledger) -> None:
    add(ledger)
    for status, actions in {
        "": ["cancel", "retry"],
        "PENDING": ["cancel"],
        "FAILURE": ["retry"],
        "SUCCESS": [],
    }.items():
        page = client.get(f"/flask?status={status}", headers=BROWSER).text
        assert re.findall(r'data-action="(\w+)"', page) == actions
