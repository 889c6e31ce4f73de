"""What only a browser shows of the list of jobs: that it stays in place, and how much of it there is to see."""

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
    assert "status=FAILURE" in page.url
    assert "task_type=add" in page.url
    page.locator("#filters [name=q]").fill('"by zero"')
    page.locator("#filters button").click()
    expect(page.locator("#states a", has_text="Failed")).to_have_attribute("aria-current", "true")
    assert "q=%22by" in page.url
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
