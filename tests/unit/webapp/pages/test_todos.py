"""To-dos on their page: deleted and brought back, exported and downloaded."""

import re
from typing import Any

from flask.testing import FlaskClient

from jobs.ledger import moves, todos
from jobs.ledger.database import Ledger
from jobs.ledger.records import Outcome

BROWSER = {"Accept": "text/html"}


def texts(client: FlaskClient) -> list[str]:
    return [todo["text"] for todo in client.get("/flask/todos").get_json()["data"]]


def test_a_deleted_todo_comes_back_to_its_place(client: FlaskClient, ledger: Ledger) -> None:
    ids = [client.post("/flask/todos", json={"text": text}).get_json()["id"] for text in ("one", "two", "three")]
    answer = client.post(f"/flask/ui/todos/{ids[1]}/delete", headers=BROWSER)
    assert texts(client) == ["one", "three"]
    assert client.get(f"/flask/todos/{ids[1]}").status_code == 404
    assert client.delete(f"/flask/todos/{ids[1]}").status_code == 404
    assert client.patch(f"/flask/todos/{ids[1]}", json={"done": True}).status_code == 404
    page = client.get(answer.headers["Location"], headers=BROWSER).text
    [undo] = re.findall(r'action="([^"]+/restore)"', page)
    assert client.post(undo, headers=BROWSER).status_code == 303
    assert texts(client) == ["one", "two", "three"]
    assert client.post(undo, headers=BROWSER).status_code == 404
    assert client.post("/flask/ui/todos/99999999999999999999/restore", headers=BROWSER).status_code == 404


def test_what_was_deleted_long_ago_is_gone(client: FlaskClient, ledger: Ledger, monkeypatch: Any) -> None:
    ids = [client.post("/flask/todos", json={"text": text}).get_json()["id"] for text in ("one", "two")]
    client.delete(f"/flask/todos/{ids[0]}")
    monkeypatch.setattr(todos, "KEPT_FOR", 0.0)
    assert client.post(f"/flask/ui/todos/{ids[0]}/restore", headers=BROWSER).status_code == 404
    client.delete(f"/flask/todos/{ids[1]}")
    with ledger.reading() as connection:
        assert connection.exec_driver_sql("SELECT id FROM todo").scalars().all() == [ids[1]]


def test_the_file_is_offered_where_the_export_was_asked_for(client: FlaskClient, ledger: Ledger) -> None:
    answer = client.post("/flask/ui/todos/export", data={"filters.done": "true"}, headers=BROWSER)
    assert answer.headers["Location"].startswith("/flask/todos?")
    page = client.get(answer.headers["Location"], headers=BROWSER).text
    [task_id] = re.findall(r'data-follow="([^"]+)"', page)
    assert "Download" not in page
    with ledger.writing() as connection:
        moves.claim(connection, [task_id], "w1")
        moves.succeed(connection, Outcome(job_id=task_id, attempt=1, result={"count": 0}))
    page = client.get(answer.headers["Location"], headers=BROWSER).text
    assert f'href="/flask/download/{task_id}" download>Download</a>' in page
    assert client.post("/flask/ui/todos/export", data={"filters.done": "perhaps"}, headers=BROWSER).status_code == 422
