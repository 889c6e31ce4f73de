"""Schedules: added, shown with their next times, paused, deleted; and a queue that is paused."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.support import Watch, live, mark
from tests.support.stack import Stack, wait_until


@pytest.fixture(autouse=True)
def no_schedules(stack: Stack) -> Iterator[None]:
    """Leave no schedule."""
    yield
    for schedule in stack.http.get("/flask/schedules").json()["data"]:
        stack.http.delete(f"/flask/schedules/{schedule['name']}")


def test_a_schedule_from_beginning_to_end(stack: Stack, page: Page, watch: Watch) -> None:
    watch.tolerate("status of 422")
    page.goto("/flask/schedules")
    expect(page.get_by_text("None.")).to_be_visible()
    unloaded = mark(page)
    form = page.locator("#submit-export")
    form.locator("[name=name]").fill("nightly export")
    form.get_by_role("button", name="Add").click()
    expect(form.locator(".error")).to_have_count(1)
    form.locator("[name=name]").fill("nightly-export")
    form.locator("[name=timezone]").fill("Europe/Berlin")
    form.get_by_role("button", name="Add").click()

    row = page.locator("#schedule-nightly-export")
    expect(row).to_contain_text("At 02:30")
    expect(row.locator(".slots time")).to_have_count(5)
    expect(row).to_contain_text("not yet")
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("paused")
    assert stack.http.get("/flask/schedules/nightly-export").json()["next_run_at"] is None
    row.get_by_role("button", name="Resume").click()
    expect(row.locator(".slots time")).to_have_count(5)
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert unloaded()


def test_the_job_of_a_slot_is_one_click_away(stack: Stack, page: Page) -> None:
    body = {"name": "ticks", "every": 1, "task_type": "add", "input_params": {"a": 1, "b": 2}}
    stack.http.post("/flask/schedules", json=body)
    page.goto("/flask/schedules")
    row = page.locator("#schedule-ticks")
    expect(row).to_contain_text("Every 1 s")
    wait_until(lambda: stack.http.get("/flask/schedules/ticks").json()["last_task_id"], 10, "a slot has come")
    page.reload()
    row.get_by_role("link").click()
    expect(page.locator("#job")).to_contain_text("add")


def test_a_queue_is_paused_and_resumed(stack: Stack, page: Page) -> None:
    page.goto("/flask/queues")
    live(page)
    line = page.locator("#queue-table tr").filter(has_text="export")
    line.get_by_role("button", name="Pause").click()
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The queue export is paused")
    expect(line).to_contain_text("paused")
    line.get_by_role("button", name="Resume").click()
    expect(trouble).to_have_text("")
    assert not any(queue["paused"] for queue in stack.http.get("/flask/queues").json()["data"])
