"""What only a browser shows of the list of jobs: that it stays in place, and how much of it there is to see."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.browser.support import DESKTOP, live, mark, row
from tests.support.stack import Stack


def shown(page: Page) -> list[str]:
    """Return the ids of the jobs in the list, from first to last."""
    return [str(each) for each in page.locator("#jobs tbody tr").evaluate_all("rows => rows.map(row => row.id)")]


def test_tabs_and_pages_are_shown_in_place(stack: Stack, page: Page) -> None:
    ids = [f"job-{stack.submit('add', a=number, b=0)}" for number in range(5)][::-1]
    page.goto("/flask?task_type=add&limit=2")
    live(page)
    unloaded = mark(page)
    first = page.locator("#jobs tbody tr").first
    page.get_by_role("link", name="Older").click()
    expect(first).to_have_id(ids[2])
    expect(page.get_by_role("link", name="Older")).to_be_focused()
    stack.submit("add", a=9, b=0)
    page.get_by_role("link", name="Newer").click()
    expect(first).to_have_id(ids[0])
    assert shown(page) == ids[:2]
    page.go_back()
    expect(first).to_have_id(ids[2])
    page.locator("#states a", has_text="Failed").click()
    expect(page.get_by_text("No job here.")).to_be_visible()
    expect(page).to_have_url(re.compile("task_type=add&status=FAILURE|status=FAILURE&task_type=add"))
    page.locator("#filters [name=q]").fill('"by zero"')
    page.locator("#filters button").click()
    expect(page).to_have_url(re.compile("q=%22by"))
    expect(page.locator("#states a", has_text="Failed")).to_have_attribute("aria-current", "true")
    assert unloaded()


def test_the_list_begins_in_the_upper_third_and_shows_15_jobs(stack: Stack, page: Page) -> None:
    for number in range(15):
        stack.submit("add", a=number, b=0)
    page.goto("/flask")
    live(page)
    rows = page.locator("#jobs tbody tr")
    expect(rows.nth(14)).to_be_visible()
    top, bottom = page.locator("#jobs").bounding_box(), rows.nth(14).bounding_box()
    assert top
    assert bottom
    assert top["y"] < DESKTOP["height"] / 3
    assert bottom["y"] + bottom["height"] <= DESKTOP["height"]


def test_no_row_comes_while_one_points_at_the_list(stack: Stack, page: Page) -> None:
    before = stack.submit("add", a=1, b=0)
    page.goto("/flask")
    live(page)
    row(page, before).hover()
    place = row(page, before).bounding_box()
    first, second = stack.submit("add", a=2, b=0), stack.submit("add", a=3, b=0)
    arrived = page.locator("#arrived")
    expect(arrived).to_have_text("2 new jobs")
    assert row(page, before).bounding_box() == place
    arrived.click()
    expect(row(page, first)).to_be_visible()
    expect(arrived).to_be_hidden()
    row(page, second).hover()
    third = stack.submit("add", a=4, b=0)
    expect(arrived).to_have_text("1 new job")
    page.mouse.move(0, 0)
    expect(row(page, third)).to_be_visible()


def test_selected_jobs_are_cancelled_and_that_is_undone_or_seen(stack: Stack, page: Page) -> None:
    later = {"task_type": "heavy", "run_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    ids = [stack.http.post("/flask/tasks", json=later).json()["task_id"] for _ in range(3)]
    page.goto("/flask?status=PENDING&scheduled=true")
    live(page)
    unloaded = mark(page)
    question, following = page.get_by_role("dialog"), page.locator("#following")
    for key in ("j", "x", "j", "x", "c"):
        page.keyboard.press(key)
    expect(question.get_by_role("heading")).to_have_text("Cancel 2 jobs?")
    question.get_by_role("button", name="Yes").click()
    following.get_by_role("button", name="Undo").click()
    expect(page.locator("#notice")).to_contain_text("Undone")
    expect(following.locator("*")).to_have_count(0)
    expect(page.locator("#picked")).to_have_text("Select all")
    assert [stack.status(task_id)["status"] for task_id in ids] == ["PENDING"] * 3

    row(page, ids[0]).get_by_role("checkbox").check()
    row(page, ids[2]).get_by_role("checkbox").click(modifiers=["Shift"])
    expect(page.locator("#picked")).to_have_text("3 selected")
    row(page, ids[1]).get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Cancel selected").click()
    question.get_by_role("button", name="Yes, cancel 2 jobs").click()
    page.mouse.move(0, 0)
    expect(following).to_contain_text("cancelled: 2")
    expect(row(page, ids[2])).to_have_count(0)
    expect(row(page, ids[1])).to_be_visible()
    assert unloaded()
    stack.http.delete(f"/flask/tasks/{ids[1]}")
