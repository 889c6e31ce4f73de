"""The pages in Firefox: one way through each thing that another browser may do otherwise."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.support import DESKTOP, PHONE, OpenPage, Watch, expect_state, live, mark, press, row, send_button
from tests.support.stack import Stack


@pytest.fixture
def page(open_in_firefox: OpenPage) -> Page:
    """Return an empty page of desktop size."""
    return open_in_firefox(viewport=DESKTOP)


def test_a_job_is_submitted_and_followed_live_to_its_end(page: Page) -> None:
    page.goto("/flask")
    live(page)
    unloaded = mark(page)
    page.get_by_text("Submit a job").click()
    page.get_by_role("link", name="divide", exact=True).click()
    # What is there is 12 / 4. Typed, because Playwright does not empty a field of numbers in a Firefox as it is.
    good = row(page, press(page, send_button(page, "divide")))
    expect_state(good, "SUCCESS")
    divisor = page.locator("#divide-b")
    divisor.press("Control+a")
    divisor.press_sequentially("0")
    bad = row(page, press(page, send_button(page, "divide")))
    expect_state(bad, "FAILURE")
    again = press(page, bad.get_by_role("button", name="Retry"))
    assert unloaded()
    page.locator("#notice a").click()
    expect(page.locator("#job")).to_have_attribute("data-id", again)
    expect_state(page.locator("#job"), "FAILURE")


def test_a_running_job_is_cancelled_on_its_page(stack: Stack, page: Page) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    page.goto(f"/flask/tasks/{task_id}")
    live(page)
    page.get_by_role("button", name="Cancel").click()
    expect_state(page.locator("#job"), "REVOKED")
    expect(page.locator("#story li").last).to_contain_text("REVOKED")


def test_keys_lead_through_the_list(stack: Stack, page: Page) -> None:
    ids = [stack.submit("add", a=number, b=0) for number in range(2)]
    page.goto("/flask")
    for task_id in ids:
        expect_state(row(page, task_id), "SUCCESS")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    for key, task_id in (("j", ids[1]), ("j", ids[0]), ("k", ids[1])):
        page.keyboard.press(key)
        expect(row(page, task_id).get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#job")).to_have_attribute("data-id", ids[1])


def test_a_text_is_copied_and_times_are_the_viewers_own(stack: Stack, page: Page) -> None:
    task_id = stack.submit("export", filters={"created_from": "2026-01-01T00:00:00Z"})
    page.goto(f"/flask/tasks/{task_id}")
    page.get_by_role("button", name="Copy Parameters").click()
    expect(page.get_by_role("button", name="Copied Parameters")).to_be_visible()
    copied = page.locator("#params").text_content()
    page.get_by_role("link", name="Edit and run again").click()
    expect(page.locator("#export-filters-created_from")).to_have_value("2026-01-01T05:30")
    page.goto("/flask?form=text")
    field = page.locator("#text-text")
    field.fill("")
    field.press("Control+v")
    expect(field).to_have_value(str(copied))


def test_nothing_is_wider_than_a_phone(stack: Stack, open_in_firefox: OpenPage) -> None:
    task_id = stack.submit("divide", a=1, b=0)
    stack.wait_state(task_id, "FAILURE")
    page = open_in_firefox(viewport=PHONE)
    for path in ("/", "/flask?form=export", f"/flask/tasks/{task_id}", "/flask/failures", "/flask/queues"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_what_the_policy_forbids_is_told(page: Page, watch: Watch) -> None:
    """So that the other tests would fail if a page tried it."""
    page.goto("/flask")
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))")
    expect(page.locator("#jobs")).to_be_visible()
    assert [complaint for complaint in watch.complaints() if "script-src" in complaint]
    watch.tolerate("inline (style|script)|style-src|script-src")
