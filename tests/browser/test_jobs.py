"""Jobs from beginning to end, as somebody with a mouse sees them."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from jobs.catalogue import JOB_TYPES
from tests.browser.support import Watch, expect_state, fill, live, mark, press, row, send_button, submit
from tests.support.stack import Stack, wait_until

#: Of each kind of job, what to enter and what its result has to contain.
ENTRIES: dict[str, tuple[dict[str, str], str]] = {
    "heavy": ({"seconds": "0.5"}, "This task took 0.5 seconds."),
    "add": ({"a": "2", "b": "-0.5"}, "1.5"),
    "divide": ({"a": "9", "b": "2"}, "4.5"),
    "text": ({"text": "<b>héllo</b>", "repeat": "2"}, "<B>HÉLLO</B>"),
    "export": ({"filters-done": "false", "filters-text": "no to-do has this"}, '"count": 0'),
    "email_sending": ({"num_emails": "1", "subject": "Hello"}, '"sent"'),
    "image_processing": ({"num_images": "1", "width": "100", "height": "100"}, '"images"'),
    # No job is so old.
    "cancel_jobs": ({"created_to": "2000-01-01T00:00"}, '"cancelled": 0'),
    "retry_jobs": ({"created_to": "2000-01-01T00:00"}, '"submitted": 0'),
    "delete_failures": ({"failure": "0123456789abcdef"}, '"deleted": 0'),
    # The last one, so that it is still under way when all have been submitted
    "csv_processing": ({"num_rows": "100", "processing_time": "5"}, '"average"'),
}


def test_each_kind_is_submitted_shows_its_progress_and_its_result(page: Page) -> None:
    assert ENTRIES.keys() == JOB_TYPES.keys()
    page.goto("/flask")
    page.get_by_text("Submit a job").click()
    task_ids = {}
    for task_type, (entries, _) in ENTRIES.items():
        page.get_by_role("link", name=task_type, exact=True).click()
        task_ids[task_type] = submit(page, task_type, **entries)
        expect(row(page, task_ids[task_type])).to_contain_text(task_type)

    slowest = row(page, task_ids["csv_processing"])
    bar = slowest.locator("progress")
    expect(bar).to_have_attribute("value", re.compile(r"^[1-9]\d?$"))
    first = int(bar.get_attribute("value") or 0)
    expect(bar).not_to_have_attribute("value", str(first))
    assert int(bar.get_attribute("value") or 100) > first
    for task_id in task_ids.values():
        expect_state(row(page, task_id), "SUCCESS")

    for task_type, (_, result) in ENTRIES.items():
        row(page, task_ids[task_type]).get_by_role("link", name=task_type).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(task_ids[task_type])
        expect(page.locator("#result")).to_contain_text(result)
        page.go_back()


@pytest.mark.parametrize("where", ["list", "page"])
def test_a_running_job_is_cancelled_and_tried_again(stack: Stack, page: Page, where: str) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    page.goto("/flask" if where == "list" else f"/flask/tasks/{task_id}")
    shown = row(page, task_id) if where == "list" else page.locator("#job")
    unloaded = mark(page)
    shown.get_by_role("button", name="Cancel").click()
    expect(page.locator("#notice")).to_contain_text("Cancelled")
    expect_state(shown, "REVOKED")
    assert stack.status(task_id)["status"] == "REVOKED"

    again = press(page, shown.get_by_role("button", name="Retry"))
    try:
        assert again != task_id
        if where == "list":
            page.mouse.move(0, 0)
            expect(row(page, again)).to_contain_text("heavy")
        assert unloaded()
    finally:
        stack.http.delete(f"/flask/tasks/{again}")


@pytest.mark.parametrize("where", ["list", "filtered list", "page"])
def test_more_clicks_on_cancel_do_nothing_else(stack: Stack, page: Page, where: str) -> None:
    below, clicked = stack.submit_heavy(60), stack.submit_heavy(60)
    for task_id in (below, clicked):
        stack.wait_state(task_id, "STARTED")
    addresses = {"list": "/flask", "filtered list": "/flask?status=STARTED", "page": f"/flask/tasks/{clicked}"}
    page.clock.install()
    page.goto(addresses[where])
    live(page)
    shown = page.locator("#job") if where == "page" else row(page, clicked)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.clock.pause_at(datetime.now() + timedelta(seconds=5))  # so that all of these clicks come in one moment
    cancel = shown.get_by_role("button", name="Cancel")
    # A row that is just being replaced is in no place for a moment.
    place = wait_until(cancel.bounding_box, 10, "the button has a place")
    assert place
    cancel.dblclick()
    expect_state(shown, "REVOKED")
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    expect(shown.get_by_role("button", name="Retry")).to_be_disabled()
    page.clock.resume()
    page.mouse.move(0, 0)  # while one points at a row, none comes or goes
    if where == "filtered list":
        expect(shown).to_have_count(0)
    else:
        expect(shown.get_by_role("button", name="Retry")).to_be_enabled()
    assert sent == [f"{stack.url}/flask/ui/tasks/{clicked}/cancel"]
    assert stack.status(below)["status"] == "STARTED"
    stack.http.delete(f"/flask/tasks/{below}")


def test_a_failure_says_why_and_can_be_tried_again(page: Page) -> None:
    page.goto("/flask?form=divide")
    failed = row(page, submit(page, "divide", a="1", b="0"))
    expect_state(failed, "FAILURE")
    expect(failed).to_contain_text("zero")
    again = press(page, failed.get_by_role("button", name="Retry"))
    page.mouse.move(0, 0)
    expect_state(row(page, again), "FAILURE")


def test_a_time_is_entered_in_the_viewers_own_zone(stack: Stack, page: Page) -> None:
    moment = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=3)
    there = moment.astimezone(tz=datetime.fromisoformat("2000-01-01T00:00:00+05:30").tzinfo)
    page.goto("/flask?form=add")
    task_id = submit(page, "add", a="1", b="2", run_at=there.strftime("%Y-%m-%dT%H:%M"))
    job = stack.http.get(f"/flask/tasks/{task_id}").json()
    assert datetime.fromisoformat(job["run_at"]) == moment
    expect(row(page, task_id)).to_contain_text("starts in 2 h")
    row(page, task_id).get_by_role("button", name="Cancel").click()
    expect_state(row(page, task_id), "REVOKED")


def test_a_job_is_edited_and_run_again(stack: Stack, page: Page) -> None:
    """Its times come as UTC, are shown in the viewer's zone, and stay what they were."""
    moment = "2026-01-01T00:00:17.250000Z"
    page.goto(f"/flask/tasks/{stack.submit('export', filters={'created_from': moment, 'done': False})}")
    page.get_by_role("link", name="Edit and run again").click()
    expect(page.locator("#export-filters-created_from")).to_have_value("2026-01-01T05:30:17.25")
    expect(page.locator("#export-filters-done")).to_have_value("false")
    again = stack.http.get(f"/flask/tasks/{submit(page, 'export', **{'filters-text': 'new'})}").json()
    assert again["input_params"] == {"filters": {"created_from": moment, "done": False, "text": "new"}}


def test_what_is_wrong_stands_beside_the_field(stack: Stack, page: Page, watch: Watch) -> None:
    watch.tolerate("status of 422")  # Chromium itself writes one line for each such answer
    [(before,)] = stack.ledger("SELECT count(*) FROM job")
    page.goto("/flask?form=image_processing")
    fill(page, "image_processing", num_images="21", width="1e3", height="99")
    send_button(page, "image_processing").click()
    expect(page.locator("#notice")).to_contain_text("Not submitted")
    for name, entered in (("num_images", "21"), ("height", "99")):
        field = page.locator(f"#image_processing-{name}")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_value(entered)
        expect(field).to_have_accessible_description(re.compile("Input should be"))
    expect(page.locator("#image_processing-num_images")).to_be_focused()
    assert stack.ledger("SELECT count(*) FROM job") == [(before,)]

    submit(page, "image_processing", num_images="1", width="100", height="100")
    expect(page.locator("[aria-invalid]")).to_have_count(0)


def test_what_the_browser_cannot_read_is_refused_by_name(stack: Stack, page: Page) -> None:
    [(before,)] = stack.ledger("SELECT count(*) FROM job")
    page.goto("/flask?form=heavy")
    seconds, run_at = page.locator("#heavy-seconds"), page.locator("#heavy-run_at")
    seconds.fill("")
    seconds.press_sequentially("5-10")
    run_at.press_sequentially("12")  # the day, and nothing else
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    send_button(page, "heavy").click()
    expect(page.locator("#notice")).to_contain_text("Not submitted")
    expect(seconds).to_have_accessible_description(re.compile("Seconds is not a number"))
    expect(run_at).to_have_accessible_description(re.compile("Not before is not complete"))
    expect(page.locator("[aria-invalid]")).to_have_count(2)
    expect(seconds).to_be_focused()

    seconds.fill("0")
    send_button(page, "heavy").click()
    expect(page.locator("[aria-invalid]")).to_have_count(1)
    expect(run_at).to_be_focused()
    assert sent == []
    assert stack.ledger("SELECT count(*) FROM job") == [(before,)]

    run_at.fill("")
    press(page, send_button(page, "heavy"))
    expect(page.locator("[aria-invalid]")).to_have_count(0)


def test_a_form_that_could_not_be_sent_is_kept(page: Page, watch: Watch) -> None:
    watch.tolerate("net::ERR_FAILED")
    page.goto("/flask?form=text")
    page.route("**/flask/ui/**", lambda route: route.abort())
    fill(page, "text", text="written with care")
    send_button(page, "text").click()
    expect(page.locator("#notice")).to_contain_text("does not answer")
    expect(page.locator("#text-text")).to_have_value("written with care")
    page.unroute("**/flask/ui/**")
    press(page, send_button(page, "text"))


def test_of_several_kinds_that_are_clicked_the_last_one_is_shown_and_what_is_entered_there_stays(page: Page) -> None:
    held: list[Route] = []
    page.goto("/flask?form=heavy")
    page.route("**/flask?form=*", lambda route: held.append(route))
    for name in ("add", "divide"):
        with page.expect_request(f"**/flask?form={name}"):
            page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name="heavy", exact=True).click()  # it is shown from the beginning
    fill(page, "heavy", seconds="0.25")
    assert [route.request.url.rpartition("=")[2] for route in held] == ["add", "divide"]
    for route in held:
        with page.expect_response(route.request.url):
            route.continue_()
    page.unroute("**/flask?form=*")
    submitted = submit(page, "heavy")
    page.goto(f"/flask/tasks/{submitted}")
    expect(page.locator("#result")).to_contain_text("0.25 seconds")


def test_filters_show_those_jobs_and_no_other_and_new_ones_as_they_come(stack: Stack, page: Page) -> None:
    failed, succeeded = stack.submit("divide", a=1, b=0), stack.submit("divide", a=1, b=1)
    stack.wait_state(failed, "FAILURE")
    stack.wait_state(succeeded, "SUCCESS")
    page.goto("/flask")
    filters = page.locator("#filters")
    filters.locator("[name=q]").fill("kind:divide")
    filters.get_by_role("button").click()
    tab(page, "Failed").click()
    expect(page).to_have_url(re.compile("status=FAILURE"))
    expect(row(page, failed)).to_be_visible()
    expect(row(page, succeeded)).to_have_count(0)
    states_and_kinds = page.locator("#jobs tbody tr").evaluate_all(
        "rows => rows.map(r => [r.dataset.state, r.dataset.type])"
    )
    assert all(found == ["FAILURE", "divide"] for found in states_and_kinds)

    live(page)
    other = stack.submit("divide", a=2, b=1)
    stack.wait_state(other, "SUCCESS")
    fresh = stack.submit("divide", a=2, b=0)
    expect(row(page, fresh)).to_be_visible()
    expect(row(page, other)).to_have_count(0)

    # The address says it all: to be kept, sent to somebody, gone back to.
    page.get_by_role("link", name="Show all").click()
    expect(row(page, other)).to_be_visible()
    page.go_back()
    expect(tab(page, "Failed")).to_have_attribute("aria-current", "true")
    expect(row(page, fresh)).to_be_visible()
    expect(row(page, other)).to_have_count(0)


def tab(page: Page, title: str) -> Locator:
    return page.locator("#states a", has_text=title)


def count(page: Page, title: str) -> Locator:
    return tab(page, title).locator(".count")


def test_the_tabs_count_jobs_as_they_come_and_end(stack: Stack, page: Page) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    page.goto("/flask")
    live(page)
    expect(count(page, "Running")).to_have_text("1")
    cancelled = int(count(page, "Cancelled").inner_text().replace(",", ""))
    stack.http.delete(f"/flask/tasks/{task_id}")
    expect(count(page, "Running")).to_have_text("0")
    expect(count(page, "Cancelled")).to_have_text(f"{cancelled + 1:,}")
    stack.wait_state(stack.submit("divide", a=1, b=0), "FAILURE")
    expect(page).to_have_title(re.compile(r"^\(\d+ failed\) Jobs"))
    tab(page, "Cancelled").click()
    expect(row(page, task_id)).to_be_visible()


def test_a_job_is_found_by_the_beginning_of_its_id(stack: Stack, page: Page) -> None:
    task_id = stack.submit("add", a=1, b=1)
    page.goto("/flask")
    page.locator("#filters [name=q]").fill(task_id[:10].upper())
    page.locator("#filters [name=q]").press("Enter")
    expect(page.locator("#jobs tbody tr")).to_have_count(1)
    expect(row(page, task_id)).to_be_visible()
    page.locator("#filters [name=q]").fill("ffff-no-such-id")
    page.locator("#filters [name=q]").press("Enter")
    expect(page.get_by_text("No job here.")).to_be_visible()


def test_an_export_is_downloaded_from_the_list_and_from_its_page(stack: Stack, page: Page) -> None:
    text = "export me, please"
    todo = stack.http.post("/flask/todos", json={"text": text}).json()
    task_id = stack.submit("export", filters={"text": text})
    for address, place in (("/flask", row(page, task_id)), (f"/flask/tasks/{task_id}", page.locator("#job"))):
        page.goto(address)
        expect_state(place, "SUCCESS")
        with page.expect_download() as download:
            place.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == f"todos-{task_id}.csv"
        assert f'{todo["id"]},"{text}",false' in Path(download.value.path()).read_text()


def test_a_job_has_an_address_of_its_own(stack: Stack, page: Page) -> None:
    task_id = stack.submit("text", text="a deep link", repeat=2)
    stack.wait_state(task_id, "SUCCESS")
    page.goto(f"/flask/tasks/{task_id}")
    expect_state(page.locator("#job"), "SUCCESS")
    expect(page).to_have_title(re.compile(f"text {task_id[:8]}"))
    expect(page.locator("#params")).to_contain_text("a deep link")
    expect(page.locator("#result")).to_contain_text("A DEEP LINK")
    story = page.locator("#story li")
    expect(story.first).to_contain_text("Accepted, and on disk")
    expect(story.filter(has_text="Run 1 begins")).to_contain_text(stack.celery)
    expect(story.last).to_contain_text("Ended, and on disk: SUCCESS")
    expect(story.last.locator(".gap")).to_have_text(re.compile(r"^\+[\d.]+ m?s$"))
    expect(page.locator("#lanes .run", has_text=stack.celery).locator("rect")).to_be_visible()
