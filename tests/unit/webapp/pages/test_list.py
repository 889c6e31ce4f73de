"""The list of jobs: its pages, and the same by the API."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobs.ledger import moves, search
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob

BROWSER = {"Accept": "text/html"}


def add(ledger: Ledger, count: int = 1, **more: Any) -> list[str]:
    new = [NewJob(**{"type": "heavy", "queue": "heavy", "params": {}, **more}) for _ in range(count)]
    with ledger.writing() as connection:
        moves.add(connection, *new)
    return [each.id for each in new]


def page(client: FlaskClient, address: str = "/flask") -> str:
    answer = client.get(address, headers=BROWSER)
    assert answer.status_code == 200
    return answer.text


def shown(page: str) -> list[str]:
    return re.findall(r'<tr id="job-([^"]+)"', page)


def link(page: str, title: str) -> str:
    found = re.search(rf'<a href="([^"]+)"[^>]*?( hidden)?>{title}\b', page)
    assert found, title
    return "" if found[2] else found[1].replace("&amp;", "&")


def pages(client: FlaskClient, address: str, way: str) -> Iterator[str]:
    while address:
        yield (text := page(client, address))
        address = link(text, way)


def test_older_and_newer_pages_have_each_job_once_while_others_arrive(client: FlaskClient, ledger: Ledger) -> None:
    made = add(ledger, 7)
    seen = []
    for text in pages(client, "/flask?limit=3&task_type=heavy", "Older"):
        seen += shown(text)
        last = text
        add(ledger)
    assert seen == made[::-1]
    assert (link(last, "Newest"), link(last, "Older")) == ("/flask?limit=3&task_type=heavy", "")
    back: list[str] = []
    for text in pages(client, link(last, "Newer"), "Newer"):
        back = shown(text) + back
    assert len(set(back)) == len(back) == 9
    assert back[3:] == made[:0:-1], "without the oldest one, where this began"
    assert shown(page(client, "/flask?limit=3&task_type=heavy")) == back[:3]


def test_programs_go_to_newer_jobs_as_well(client: FlaskClient, ledger: Ledger) -> None:
    made = add(ledger, 4)
    first = client.get("/flask/tasks?limit=2").get_json()
    assert first["previous"] is None
    second = client.get(f"/flask/tasks?limit=2&cursor={first['next']}").get_json()
    newest = add(ledger)
    again = client.get(f"/flask/tasks?limit=2&cursor={second['previous']}").get_json()
    assert [job["task_id"] for job in again["data"]] == made[:1:-1]
    last = client.get(f"/flask/tasks?limit=2&cursor={again['previous']}").get_json()
    assert [job["task_id"] for job in last["data"]] == newest
    assert last["previous"] is None
    assert last["next"] == client.get("/flask/tasks?limit=1").get_json()["next"]
    assert client.get(f"/flask/todos?cursor={second['previous']}").status_code == 422


def test_each_tab_leads_to_its_jobs_and_keeps_the_other_filters(client: FlaskClient, ledger: Ledger) -> None:
    [waiting], [later] = add(ledger), add(ledger, run_at=time.time() + 60)
    add(ledger, type="add")
    text = page(client, "/flask?task_type=heavy")
    for title, jobs in {"All": [later, waiting], "Scheduled": [later], "Waiting": [waiting], "Failed": []}.items():
        tab = page(client, link(text, title))
        assert shown(tab) == jobs
        assert re.findall(r'aria-current="true">(\w+)\n', tab) == [title]
    assert client.get("/flask/tasks?scheduled=true").get_json()["data"][0]["task_id"] == later
    assert client.get("/flask/tasks?scheduled=perhaps").status_code == 422


def test_words_find_jobs_on_the_page_and_for_programs(client: FlaskClient, ledger: Ledger) -> None:
    made = add(ledger, 3, type="text", params={"text": "by zero"})
    add(ledger, params={"text": "by one"})
    address = "/flask?limit=2&q=kind:text+%22by+zero%22"
    first, second = pages(client, address, "Older")
    assert (shown(first), shown(second)) == (made[:0:-1], made[:1])
    assert 'value="kind:text &#34;by zero&#34;"' in first
    assert link(second, "Newer")
    assert shown(page(client, link(first, "Failed"))) == []
    assert shown(page(client, link(first, "Waiting"))) == made[:0:-1]
    answer = client.get("/flask/tasks?q=kind:text+zero").get_json()
    assert [job["task_id"] for job in answer["data"]] == made[::-1]
    assert answer["looked_back_to"] is None
    assert shown(page(client, f"/flask?q={made[1][:8].upper()}")) == [made[1]]


def test_words_that_cannot_be_read_are_named(client: FlaskClient, ledger: Ledger) -> None:
    add(ledger)
    answer = client.get("/flask?q=knd:x", headers=BROWSER)
    assert answer.status_code == 422
    assert "&#39;knd:&#39;" in answer.text
    assert 'value="knd:x" ' in answer.text
    assert shown(answer.text) == []
    problem = client.get("/flask/tasks?q=knd:x")
    assert problem.status_code == 422
    assert problem.get_json()["errors"][0]["field"] == "q"
    assert "'knd:'" in problem.get_json()["errors"][0]["message"]
    assert client.get(f"/flask/api/tasks/?q={'x' * 201}").status_code == 422


def test_a_search_that_was_stopped_says_so(
    client: FlaskClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    [wanted] = add(ledger, type="text", params={"text": "here"})
    add(ledger, 3)
    monkeypatch.setattr(search, "JOBS", 3)
    monkeypatch.setattr(search, "BUDGET", 0)
    first, second = pages(client, "/flask?q=here", "Older")
    assert (shown(first), shown(second)) == ([], [wanted])
    assert "Looked at the jobs accepted since" in first
    assert "Looked at" not in second
    assert client.get("/flask/tasks?q=here").get_json()["looked_back_to"] is not None
