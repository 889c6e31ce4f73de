"""Everything works in a browser without JavaScript, by page loads."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.support import DESKTOP, PHONE, OpenPage, Watch, expect_state, fill, row, send_button
from tests.support.stack import Stack


@pytest.fixture
def plain(open_page: OpenPage) -> Page:
    """Return a page in which no script runs."""
    return open_page(java_script_enabled=False)


def until(page: Page, good: Callable[[], bool]) -> None:
    """Load the page again until it is as wanted, as its viewer would."""
    for _ in range(50):
        if good():
            return
        page.wait_for_timeout(200)
        page.reload()
    raise AssertionError(f"never as wanted: {page.url}\n{page.content()}")


def test_a_job_is_submitted_and_followed_to_its_result(plain: Page) -> None:
    plain.goto("/flask")
    plain.get_by_text("Submit a job").click()
    plain.get_by_role("link", name="divide", exact=True).click()
    expect(plain).to_have_url(re.compile("form=divide"))
    plain.locator("#divide-a").fill("9")
    plain.locator("#divide-b").fill("2")
    send_button(plain, "divide").click()
    expect(plain.locator("#notice")).to_contain_text("Accepted")
    job = plain.locator("#job")
    until(plain, lambda: job.get_attribute("data-state") == "SUCCESS")
    expect(plain.locator("#result")).to_have_text("4.5")
    # A time is given in full where no script turns it into "5 s ago".
    expect(job.locator("time").first).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"))
    # There is nothing to see that only a script could fill, or make work.
    expect(plain.get_by_role("button", name="Copy")).to_have_count(0)
    plain.get_by_role("link", name="Queues", exact=True).click()
    expect(plain.locator("#charts")).to_be_hidden()
    expect(plain.locator("#live")).to_be_hidden()


def test_a_running_job_is_cancelled_and_tried_again(stack: Stack, plain: Page) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    plain.goto("/flask")
    expect_state(row(plain, task_id), "STARTED")
    row(plain, task_id).get_by_role("button", name="Cancel").click()
    expect(plain).to_have_url(re.compile(task_id))
    expect_state(plain.locator("#job"), "REVOKED")
    plain.get_by_role("button", name="Retry").click()
    expect(plain.locator("#notice")).to_contain_text("Accepted again")
    expect(plain.locator("#job")).not_to_have_attribute("data-id", task_id)
    plain.get_by_role("button", name="Cancel").click()
    expect_state(plain.locator("#job"), "REVOKED")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_retry_does_not_stand_where_cancel_was(stack: Stack, open_page: OpenPage, size: ViewportSize) -> None:
    plain = open_page(java_script_enabled=False, viewport=size)
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    plain.goto(f"/flask/tasks/{task_id}")
    cancel = plain.get_by_role("button", name="Cancel").bounding_box()
    plain.get_by_role("button", name="Cancel").click()
    expect_state(plain.locator("#job"), "REVOKED")
    plain.goto(f"/flask/tasks/{task_id}")  # without the notice, which moves all of it
    retry = plain.get_by_role("button", name="Retry").bounding_box()
    assert cancel
    assert retry
    beside = retry["x"] + retry["width"] < cancel["x"] or cancel["x"] + cancel["width"] < retry["x"]
    below = retry["y"] + retry["height"] < cancel["y"] or cancel["y"] + cancel["height"] < retry["y"]
    assert beside or below


def test_a_group_of_failures_is_looked_at_and_run_again(stack: Stack, plain: Page) -> None:
    task_id = stack.submit("divide", a=1, b=0)
    stack.wait_state(task_id, "FAILURE")
    plain.goto(f"/flask/tasks/{task_id}")
    expect(plain.locator("#traceback pre")).to_be_hidden()
    plain.locator("#traceback summary").click()
    expect(plain.locator("#traceback pre")).to_contain_text("in quotient")
    plain.get_by_role("link", name="Failures", exact=True).click()
    group = plain.locator("#failures tbody tr", has_text="Division by zero")
    group.get_by_role("button", name="Retry all").click()
    expect(plain.locator("#notice")).to_contain_text("Accepted")
    until(plain, lambda: plain.locator("#job").get_attribute("data-state") == "SUCCESS")
    plain.goto(f"/flask/tasks/{task_id}")
    plain.locator("#retried-as a").click()
    expect(plain.locator("#retry-of")).to_contain_text(task_id[:8])


def test_what_is_wrong_stands_beside_the_field(stack: Stack, plain: Page, watch: Watch) -> None:
    watch.tolerate("status of 422")
    plain.goto("/flask?form=csv_processing")
    fill(plain, "csv_processing", num_rows="100", processing_time="6", run_at="2099-01-01T10:00")
    send_button(plain, "csv_processing").click()
    expect(plain.locator("#notice")).to_contain_text("Not submitted")
    field = plain.locator("#csv_processing-run_at")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("ten years from now"))
    for name, entered in (("num_rows", "100"), ("processing_time", "6"), ("run_at", "2099-01-01T10:00")):
        expect(plain.locator(f"#csv_processing-{name}")).to_have_value(entered)
    fill(plain, "csv_processing", run_at="2030-01-01T10:00")
    send_button(plain, "csv_processing").click()
    # Without a script to know the viewer's zone, times are UTC, as the label says.
    task_id = str(plain.locator("#job").get_attribute("data-id"))
    assert stack.http.get(f"/flask/tasks/{task_id}").json()["run_at"].startswith("2030-01-01T10:00:00")
    plain.get_by_role("button", name="Cancel").click()
    expect_state(plain.locator("#job"), "REVOKED")


def test_what_the_browser_cannot_read_is_not_sent(stack: Stack, plain: Page) -> None:
    [(before,)] = stack.ledger("SELECT count(*) FROM job")
    plain.goto("/flask?form=heavy")
    plain.locator("#heavy-seconds").fill("")
    plain.locator("#heavy-seconds").press_sequentially("5-10")
    send_button(plain, "heavy").click()
    expect(plain.locator("#heavy-seconds:focus:invalid")).to_be_visible()
    plain.locator("#heavy-seconds").fill("0")
    plain.locator("#heavy-run_at").press_sequentially("12")
    send_button(plain, "heavy").click()
    expect(plain.locator("#heavy-run_at:focus:invalid")).to_be_visible()
    assert stack.ledger("SELECT count(*) FROM job") == [(before,)]


def test_the_list_is_filtered_and_has_pages(stack: Stack, plain: Page) -> None:
    ids = [stack.submit("add", a=number, b=0) for number in range(3)]
    for task_id in ids:
        stack.wait_state(task_id, "SUCCESS")
    plain.goto("/flask")
    filters = plain.locator("#filters")
    filters.locator("[name=q]").fill("kind:add")
    filters.get_by_role("button").click()
    succeeded = plain.locator("#states a", has_text="Succeeded")
    succeeded.click()
    expect(row(plain, ids[-1])).to_be_visible()
    plain.goto(f"{plain.url}&limit=2")
    expect(plain.locator("#jobs tbody tr")).to_have_count(2)
    plain.get_by_role("link", name="Older").click()
    expect(row(plain, ids[0])).to_be_visible()
    expect(row(plain, ids[1])).to_have_count(0)
    expect(succeeded).to_have_attribute("aria-current", "true")
    plain.get_by_role("link", name="Newest").click()
    expect(row(plain, ids[-1])).to_be_visible()
    expect(filters.locator("[name=q]")).to_have_value("kind:add")


def test_a_todo_from_beginning_to_end(plain: Page, watch: Watch) -> None:
    watch.tolerate("status of 422")
    plain.goto("/flask/todos")
    plain.locator("#add-todo").get_by_role("button").click()
    expect(plain.locator("#new-error")).to_be_visible()
    plain.locator("#add-todo input[name=text]").fill("without a script")
    plain.locator("#add-todo").get_by_role("button").click()
    expect(plain.locator("#notice")).to_contain_text("Added")
    item = plain.locator("#todos li").filter(has=plain.locator('input[value="without a script"]'))
    item.get_by_role("checkbox").check()
    item.get_by_role("button", name="Save").click()
    expect(plain.locator("#notice")).to_contain_text("Saved")
    expect(item.get_by_role("checkbox")).to_be_checked()
    item.get_by_role("button", name="Delete").click()
    expect(plain.locator("#notice")).to_contain_text("Deleted")
    expect(item).to_have_count(0)


def test_selected_jobs_are_cancelled_after_a_question(stack: Stack, plain: Page) -> None:
    task_id = stack.submit_heavy(60)
    plain.goto("/flask")
    row(plain, task_id).get_by_role("checkbox").check()
    plain.get_by_role("button", name="Cancel selected").click()
    plain.get_by_role("button", name="Yes, cancel 1 job").click()
    following = plain.locator("#following")
    expect(following.get_by_role("button", name="Undo")).to_be_visible()
    until(plain, lambda: "cancelled: 1" in following.inner_text())
    expect_state(row(plain, task_id), "REVOKED")


def test_a_group_of_failures_is_deleted_by_a_second_click(stack: Stack, plain: Page) -> None:
    task_id = stack.submit("divide", a=1, b=0)
    stack.wait_state(task_id, "FAILURE")
    group = stack.http.get(f"/flask/tasks/{task_id}").json()["failure"]
    plain.goto("/flask/failures")
    place = plain.locator(f"#delete-{group}")
    delete = place.get_by_role("button", name="for good")
    expect(delete).to_be_hidden()
    place.get_by_text("Delete all").click()
    delete.click()
    job = plain.locator("#job")
    until(plain, lambda: job.get_attribute("data-state") == "SUCCESS")
    expect(plain.locator("#result")).to_contain_text("deleted")
    assert stack.http.get(f"/flask/tasks/{task_id}").status_code == 404
    assert group not in stack.http.get("/flask/failures").text
