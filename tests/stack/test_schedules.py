"""Recurring jobs: each slot makes exactly one job, whatever happens to beat."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.support.stack import Stack, wait_until

EVERY_SECOND = {"every": 1, "task_type": "add", "input_params": {"a": 1, "b": 2}}


@pytest.fixture
def schedules(stack: Stack) -> Iterator["Schedules"]:
    made = Schedules(stack)
    yield made
    made.remove()


class Schedules:
    """Schedules of this test, removed after it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._names: list[str] = []

    def add(self, name: str, **fields: Any) -> httpx.Response:
        answer = self._stack.http.post("/flask/schedules", json={"name": name, **fields})
        if answer.status_code == 201:
            self._names.append(name)
        return answer

    def change(self, name: str, **fields: Any) -> dict[str, Any]:
        answer = self._stack.http.patch(f"/flask/schedules/{name}", json=fields)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def look(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._stack.http.get(f"/flask/schedules/{name}").json()
        return found

    def slots(self) -> list[float]:
        """Return the slots of the jobs of kind `text`: only the schedule of one test at a time makes such jobs."""
        return [at for (at,) in self._stack.ledger("SELECT run_at FROM job WHERE type = 'text' ORDER BY run_at")]

    def remove(self) -> None:
        for name in self._names:
            self._stack.http.delete(f"/flask/schedules/{name}")


def test_each_slot_makes_one_job_also_when_beat_is_killed_and_there_are_two(stack: Stack, schedules: Schedules) -> None:
    text = {"every": 1, "task_type": "text", "input_params": {"text": "x"}}
    before = len(schedules.slots())
    image = stack.inspect(stack.beat)["Config"]
    second = f"{stack.prefix}_second_beat"
    stack.docker(
        *("run", "--detach", "--name", second, "--label", f"warren.stack={stack.prefix}", "--network", stack.network),
        *("--volumes-from", stack.beat, "--tmpfs", "/tmp"),
        *(part for setting in image["Env"] for part in ("--env", setting)),
        *(image["Image"], *image["Cmd"]),
    )
    try:
        assert schedules.add("ticks", **text).status_code == 201
        wait_until(lambda: len(schedules.slots()) >= before + 3, 30, "three slots have come")
        for _ in range(2):
            stack.docker("kill", stack.beat)
            count = len(schedules.slots())
            wait_until(lambda count=count: len(schedules.slots()) > count, 30, "the other one goes on")  # type: ignore[misc]
            stack.docker("start", stack.beat)
            count = len(schedules.slots())
            wait_until(lambda count=count: len(schedules.slots()) > count, 30, "it goes on")  # type: ignore[misc]
    finally:
        stack.docker("rm", "--force", second)
    slots = schedules.slots()[before:]
    assert len(slots) == len(set(slots))
    last = schedules.look("ticks")
    job = stack.wait_state(last["last_task_id"], "SUCCESS")
    assert job["result"] == "X"
    stack.wait_healthy(stack.beat)


def test_slots_that_were_missed_make_one_job(stack: Stack, schedules: Schedules) -> None:
    before = len(schedules.slots())
    stack.docker("stop", stack.beat)
    assert schedules.add("missed", every=1, task_type="text", input_params={"text": "x"}).status_code == 201
    began = time.time()
    wait_until(lambda: time.time() > began + 4, 10, "several slots have passed")
    stack.docker("start", stack.beat)
    wait_until(lambda: len(schedules.slots()) > before, 30, "the job is made")
    slots = schedules.slots()[before:]
    # All the slots until beat was back are one job; after that one for each second.
    assert slots[0] < began + 2
    assert len(slots) == 1 or slots[1] > began + 4
    stack.wait_healthy(stack.beat)


def test_a_schedule_is_listed_changed_paused_and_deleted(stack: Stack, schedules: Schedules) -> None:
    answer = schedules.add("nightly", cron="30 2 * * *", timezone="Europe/Berlin", task_type="export")
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/flask/schedules/nightly"
    made = answer.json()
    assert made == schedules.look("nightly")
    assert (made["cron"], made["every"], made["timezone"], made["paused"]) == (
        "30 2 * * *",
        None,
        "Europe/Berlin",
        False,
    )
    assert made["last_run_at"] is made["last_task_id"] is None
    assert datetime.fromisoformat(made["next_run_at"]).timestamp() > time.time()
    assert made in stack.http.get("/flask/schedules").json()["data"]

    assert schedules.change("nightly", paused=True)["next_run_at"] is None
    assert schedules.change("nightly", paused=False)["next_run_at"] == made["next_run_at"]
    changed = schedules.change("nightly", every=3600)
    assert (changed["cron"], changed["every"]) == (None, 3600)
    kept = schedules.change("nightly", input_params={"filters": {"done": True}})
    assert kept["next_run_at"] == changed["next_run_at"]

    assert stack.http.delete("/flask/schedules/nightly").status_code == 204
    assert stack.http.get("/flask/schedules/nightly").status_code == 404
    assert stack.http.delete("/flask/schedules/nightly").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": "soon"}, "cron"),
        ({"every": 0.5, "cron": None}, "every"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"every": 60}, "body"),
        ({"cron": None}, "body"),
        ({"task_type": "nothing"}, "task_type"),
        ({"task_type": "add"}, "input_params.a input_params.b"),
        ({"task_type": "add", "input_params": {"a": 1, "b": "x"}}, "input_params.b"),
        ({"name": "two words"}, "name"),
        ({"often": True}, "often"),
    ],
)
def test_what_is_wrong_is_named(stack: Stack, wrong: dict[str, Any], fields: str) -> None:
    body = {"name": "wrong", "cron": "* * * * *", "task_type": "heavy"} | wrong
    answer = stack.http.post("/flask/schedules", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == fields.split(" ")


def test_a_name_is_given_once(schedules: Schedules) -> None:
    assert schedules.add("only", **EVERY_SECOND, paused=True).status_code == 201
    again = schedules.add("only", **EVERY_SECOND, paused=True)
    assert again.status_code == 409
    assert "'only' already" in again.json()["detail"]


def test_a_change_is_checked_as_a_whole(stack: Stack, schedules: Schedules) -> None:
    schedules.add("adds", **EVERY_SECOND, paused=True)
    for change, field in (({"task_type": "divide", "input_params": {"a": 1}}, "input_params.b"), ({}, "body")):
        answer = stack.http.patch("/flask/schedules/adds", json=change)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert stack.http.patch("/flask/schedules/none", json={"paused": True}).status_code == 404
