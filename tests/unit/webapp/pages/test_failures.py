"""Failed jobs as the API and the pages show them, with a real ledger. No RabbitMQ is needed for that."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobs.ledger import moves
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob

BROWSER = {"Accept": "text/html"}
EVIL = "<script>alert(1)</script>"


def fail(ledger: Ledger, error: str = "Row 17 is wrong.", traceback: str | None = None) -> str:
    new = NewJob(type="heavy", queue="heavy", params={"seconds": 1})
    with ledger.writing() as connection:
        moves.add(connection, new)
        moves.claim(connection, [new.id], "w1")
        moves.fail(connection, new.id, error, attempt=1, traceback=traceback)
    return new.id


def detail(client: FlaskClient, task_id: str) -> Any:
    return client.get(f"/flask/tasks/{task_id}").get_json()


def test_a_traceback_is_in_the_detail_only(client: FlaskClient, ledger: Ledger) -> None:
    task_id, other = fail(ledger, traceback="Traceback ..."), fail(ledger)
    assert detail(client, task_id)["traceback"] == "Traceback ..."
    assert detail(client, other)["traceback"] is None
    assert "traceback" not in client.get("/flask/tasks").get_json()["data"][0]


def test_a_traceback_is_folded_and_shown_as_text(client: FlaskClient, ledger: Ledger) -> None:
    task_id, other = fail(ledger, traceback=f"Traceback {EVIL}"), fail(ledger)
    page = client.get(f"/flask/tasks/{task_id}", headers=BROWSER).text
    assert EVIL not in page
    assert re.search(r'<details id="traceback">\s*<summary>Traceback</summary>\s*<pre[^>]*><code>Traceback &lt;', page)
    assert 'id="traceback"' not in client.get(f"/flask/tasks/{other}", headers=BROWSER).text


def test_a_job_and_its_retries_name_each_other(client: FlaskClient, ledger: Ledger) -> None:
    first = fail(ledger)
    retries = [client.post(f"/flask/tasks/{first}/retry").get_json()["task_id"] for _ in range(2)]
    assert (detail(client, first)["retry_of"], detail(client, first)["retried_as"]) == (None, retries[::-1])
    assert (detail(client, retries[0])["retry_of"], detail(client, retries[0])["retried_as"]) == (first, [])
    for one, others in ((first, retries), (retries[0], [first])):
        page = client.get(f"/flask/tasks/{one}", headers=BROWSER).text
        assert all(f'href="/flask/tasks/{other}"' in page for other in others)


def test_a_retry_of_a_job_that_is_gone_has_no_link_to_it(client: FlaskClient, ledger: Ledger) -> None:
    new = NewJob(type="heavy", queue="heavy", params={}, retry_of="11111111-2222-4333-8444-555555555555")
    with ledger.writing() as connection:
        moves.add(connection, new)
    page = client.get(f"/flask/tasks/{new.id}", headers=BROWSER).text
    assert "which is gone" in page
    assert f'href="/flask/tasks/{new.retry_of}"' not in page


def test_failures_are_listed_in_groups(client: FlaskClient, ledger: Ledger) -> None:
    assert client.get("/flask/failures").get_json() == {"data": []}
    assert "No job has failed." in client.get("/flask/failures", headers=BROWSER).text
    ids = [fail(ledger, f"Row {number} is wrong.") for number in range(3)]
    (group,) = client.get("/flask/failures").get_json()["data"]
    assert (group["task_type"], group["message"], group["count"]) == ("heavy", "Row N is wrong.", 3)
    assert group["example"] == {"task_id": ids[-1], "error": "Row 2 is wrong."}
    assert (len(group["history"]), sum(group["history"])) == (24, 3)
    assert group["first_at"] < group["last_at"]
    assert {detail(client, task_id)["failure"] for task_id in ids} == {group["key"]}


def test_the_jobs_of_a_group_are_paged_as_other_lists(client: FlaskClient, ledger: Ledger) -> None:
    ids = [fail(ledger) for _ in range(3)]
    fail(ledger, "Gone.")
    key = detail(client, ids[0])["failure"]
    first = client.get(f"/flask/tasks?failure={key}&limit=2").get_json()
    rest = client.get(f"/flask/tasks?failure={key}&limit=2&cursor={first['next']}").get_json()
    assert [job["task_id"] for job in first["data"] + rest["data"]] == ids[::-1]
    assert rest["next"] is None
    assert client.get("/flask/tasks?failure=nonsense").status_code == 422


def test_the_page_of_failures_shows_what_people_wrote_as_text(client: FlaskClient, ledger: Ledger) -> None:
    task_id = fail(ledger, f"No {EVIL}.")
    key = detail(client, task_id)["failure"]
    for path in ("/flask/failures", f"/flask?failure={key}"):
        page = client.get(path, headers=BROWSER).text
        assert EVIL not in page
        assert "&lt;script&gt;alert(N)" in page
        assert " style=" not in page
    assert f'href="/flask?failure={key}"' in client.get("/flask/failures", headers=BROWSER).text


def test_the_form_of_a_group_runs_all_of_it_again(client: FlaskClient, ledger: Ledger) -> None:
    key = detail(client, fail(ledger))["failure"]
    page = client.get("/flask/failures", headers=BROWSER).text
    assert f'<form class="small" method="post" action="/flask/ui/failures/{key}/retry">' in page
    answer = client.post(f"/flask/ui/failures/{key}/retry", headers=BROWSER)
    assert answer.status_code == 303
    bulk = detail(client, answer.headers["Location"].removeprefix("/flask/tasks/").partition("?")[0])
    assert (bulk["task_type"], bulk["input_params"]) == ("retry_jobs", {"failure": key})
    assert client.post("/flask/ui/failures/0123456789abcdef/retry", headers=BROWSER).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/flask/failures/{}"), ("POST", "/flask/ui/failures/{}/delete")]
)
def test_a_job_of_its_own_deletes_a_group(client: FlaskClient, ledger: Ledger, method: str, path: str) -> None:
    key = detail(client, fail(ledger))["failure"]
    answer = client.open(path.format(key), method=method)
    assert answer.status_code == (202 if method == "DELETE" else 303)
    bulk = detail(client, answer.headers["Location"].removeprefix("/flask/tasks/").partition("?")[0])
    assert (bulk["task_type"], bulk["input_params"]) == ("delete_failures", {"failure": key})
    for unknown in ("0123456789abcdef", "nonsense"):
        assert client.open(path.format(unknown), method=method).status_code == 404


def test_deleting_a_group_has_to_be_confirmed(client: FlaskClient, ledger: Ledger) -> None:
    """Without a script, too: the button is folded, and says how many jobs it is about."""
    fail(ledger)
    key = detail(client, fail(ledger))["failure"]
    page = client.get("/flask/failures", headers=BROWSER).text
    folded = re.search(rf'<details id="delete-{key}" class="delete changes">(.*?)</details>', page, re.DOTALL)
    assert folded is not None
    assert "<button>Delete 2 jobs for good</button>" in folded[1]
    assert f'method="post" action="/flask/ui/failures/{key}/delete"' in folded[1]
