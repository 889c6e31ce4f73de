"""The list of jobs: its pages, and the same by the API."""

import re
import time
from collections.abc import Iterator
from typing import Any

from flask.testing import FlaskClient

from jobs.ledger import moves
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
