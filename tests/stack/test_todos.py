"""The to-dos: a small resource with all the usual verbs."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.stack import Stack


def test_a_todo_from_beginning_to_end(stack: Stack) -> None:
    made = stack.http.post("/flask/todos", json={"text": "water the plants"})
    assert made.status_code == 201
    todo = made.json()
    assert (todo["text"], todo["done"]) == ("water the plants", False)
    assert abs(datetime.fromisoformat(todo["created_at"]) - datetime.now(UTC)) < timedelta(seconds=10)
    here = made.headers["Location"]
    assert here == f"/flask/todos/{todo['id']}"
    assert stack.http.get(here).json() == todo

    assert stack.http.patch(here, json={"done": True}).json() == todo | {"done": True}
    assert stack.http.patch(here, json={"text": "Zähler ablesen 🌱"}).json() == todo | {
        "done": True,
        "text": "Zähler ablesen 🌱",
    }
    removed = stack.http.delete(here)
    assert (removed.status_code, removed.content) == (204, b"")
    for answer in (stack.http.get(here), stack.http.patch(here, json={"done": True}), stack.http.delete(here)):
        assert answer.status_code == 404
        assert str(todo["id"]) in answer.json()["detail"]


def test_a_todo_has_1_to_500_characters(stack: Stack) -> None:
    for text in ("x", "ß" * 500, "🌱" * 500):
        made = stack.http.post("/flask/todos", json={"text": text, "done": True})
        assert made.status_code == 201
        assert made.json()["text"] == text
    for body in ({"text": ""}, {"text": "x" * 501}, {"text": "a\0b"}, {"text": 5}, {"text": None}, {}):
        answer = stack.http.post("/flask/todos", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["field"] == "text"
    for done in ("maybe", 1):
        answer = stack.http.post("/flask/todos", json={"text": "x", "done": done})
        assert answer.json()["errors"][0]["field"] == "done"


@pytest.mark.parametrize("text", [" ", "\t\n", "\u3000\u2003", "\u200b"], ids=ascii)
def test_a_todo_of_blanks_is_refused(stack: Stack, text: str) -> None:
    here = stack.http.post("/flask/todos", json={"text": f" {text}x{text} "}).headers["Location"]
    for answer in (stack.http.post("/flask/todos", json={"text": text}), stack.http.patch(here, json={"text": text})):
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"field": "text", "message": "Input should not be blank"}]


def test_a_change_of_nothing_is_refused(stack: Stack) -> None:
    here = stack.http.post("/flask/todos", json={"text": "stay"}).headers["Location"]
    for body in ({}, {"text": ""}, {"text": "x" * 501}, {"done": "no"}, {"id": 7}):
        assert stack.http.patch(here, json=body).status_code == 422, body
    assert stack.http.get(here).json()["text"] == "stay"


def test_todos_are_listed_in_order_and_in_pages(stack: Stack) -> None:
    ids = [
        stack.http.post("/flask/todos", json={"text": f"number {number}", "done": number % 2 == 0}).json()["id"]
        for number in range(7)
    ]
    everything = [todo["id"] for todo in stack.walk("/flask/todos", limit="3")]
    assert everything == sorted(everything)
    assert everything[-7:] == ids
    assert [todo["id"] for todo in stack.walk("/flask/todos", done="true")][-4:] == ids[::2]
    assert [todo["id"] for todo in stack.walk("/flask/todos", done="false")][-3:] == ids[1::2]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "cursor=x", "done=perhaps", "colour=red"])
def test_a_wrong_query_of_todos_is_named(stack: Stack, query: str) -> None:
    answer = stack.http.get(f"/flask/todos?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]
