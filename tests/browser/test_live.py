"""Pages that keep themselves up to date: by Server-Sent Events, and without them."""

import re
from datetime import datetime, timedelta

from playwright.sync_api import Page, Route, expect

from tests.browser.support import OpenPage, Watch, expect_state, live, mark, row
from tests.support.stack import Stack

#: What Chromium writes about requests while the web container is being restarted.
RESTARTING = r"net::ERR_|status of 503"

#: Milliseconds between two looks while there is no stream, and after which one that was refused has been tried again,
#: or one that nobody looks at is given back: see stream.js.
POLL = 5_000
LATER = 31_000


def test_jobs_of_others_appear_and_change_without_a_reload(stack: Stack, page: Page, open_page: OpenPage) -> None:
    page.goto("/flask")
    live(page)
    unloaded = mark(page)
    task_id = stack.submit_heavy(60)
    expect_state(row(page, task_id), "STARTED")
    expect(page.locator("#jobs tbody tr").first).to_have_id(f"job-{task_id}")
    queues = open_page()
    queues.goto("/flask/queues")
    live(queues)
    expect(queues.locator("#worker-table")).to_contain_text(task_id[:8])
    heavy = queues.locator("#queue-table tr", has=queues.get_by_role("rowheader", name="heavy"))
    expect(heavy.get_by_role("cell").first).to_have_text("1")
    stack.http.delete(f"/flask/tasks/{task_id}")
    expect_state(row(page, task_id), "REVOKED")
    expect(heavy.get_by_role("cell").first).to_have_text("0")
    assert unloaded()


def test_a_jobs_page_follows_it_to_its_end(stack: Stack, page: Page) -> None:
    task_id = stack.submit_heavy(6)
    page.goto(f"/flask/tasks/{task_id}")
    unloaded = mark(page)
    expect_state(page.locator("#job"), "STARTED")
    expect_state(page.locator("#job"), "SUCCESS")
    expect(page.locator("#result")).to_contain_text("6 seconds")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert unloaded()


def test_older_goes_on_where_the_page_ends_also_after_others_arrived(stack: Stack, page: Page) -> None:
    def submit(jobs: int) -> list[str]:
        return [stack.submit("add", a=number, b=0) for number in range(jobs)]

    submit(20)
    page.goto("/flask?limit=10")
    live(page)
    newest = submit(10)[-1]
    expect(page.locator("#jobs tbody tr").first).to_have_id(f"job-{newest}")
    first = ids(page)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    listed = stack.http.get("/flask/tasks", params={"limit": "20"}).json()["data"]
    assert first + ids(page) == [job["task_id"] for job in listed]


def test_a_page_that_fills_up_gets_its_link_to_older_jobs(stack: Stack, page: Page) -> None:
    stack.submit("text", text="the oldest one")
    known = [job["task_id"] for job in stack.walk("/flask/tasks", task_type="text")]
    page.goto(f"/flask?task_type=text&limit={len(known)}")
    live(page)
    older = page.get_by_role("link", name="Older")
    expect(older).to_have_count(0)
    newest = stack.submit("text", text="the newest one")
    expect(row(page, newest)).to_be_visible()
    older.click()
    expect(page.locator("#jobs tbody tr")).to_have_count(1)
    expect(row(page, known[-1])).to_be_visible()


def ids(page: Page) -> list[str]:
    """Return the ids of the jobs in the list, from first to last."""
    rows = page.locator("#jobs tbody tr").evaluate_all("rows => rows.map(row => row.id)")
    return [str(identity).removeprefix("job-") for identity in rows]


def test_a_job_never_took_longer_than_the_time_since_it_was_accepted(stack: Stack, page: Page) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    page.clock.install()
    page.goto("/flask")
    live(page)
    page.clock.pause_at(datetime.now() + timedelta(seconds=20))
    took, accepted = row(page, task_id).locator("[data-since]"), row(page, task_id).locator("time")
    since = float(took.get_attribute("data-since") or 0)
    shown = []
    for tenth in range(10):  # as if it had been accepted and started in the same moment, at each part of a second
        took.evaluate("(span, since) => span.dataset.since = since", since + tenth / 10)
        accepted.evaluate("(time, since) => time.dateTime = new Date(since * 1000).toISOString()", since + tenth / 10)
        page.clock.run_for(1_000)
        texts = took.inner_text(), accepted.inner_text()
        shown.append([int(text.removesuffix(" ago").removesuffix(" s")) for text in texts])
    stack.http.delete(f"/flask/tasks/{task_id}")
    assert [(first, second) for first, second in shown if first != second] == []


def test_a_page_that_was_slow_to_load_soon_shows_the_right_times(stack: Stack, page: Page) -> None:
    def a_minute_late(route: Route) -> None:
        answer = route.fetch()
        text = re.sub(r'data-now="([^"]+)"', lambda found: f'data-now="{float(found[1]) - 60}"', answer.text())
        route.fulfill(response=answer, body=text)

    page.route("**/flask", a_minute_late)
    task_id = stack.submit_heavy()
    page.goto("/flask")
    expect(row(page, task_id).locator("time")).to_have_text(re.compile("now|ago"))


def test_the_charts_show_what_was_done(stack: Stack, page: Page) -> None:
    page.goto("/flask/queues")
    live(page)
    for task_id in [stack.submit("add", a=1, b=1) for _ in range(20)]:
        stack.wait_state(task_id, "SUCCESS")
    for chart in ("#chart-depth", "#chart-done"):
        expect(page.locator(f"{chart} path")).to_have_count(3)
    done = page.locator("#chart-done")
    # An area that has a height: some of its points are not on the axis.
    page.wait_for_function(
        """() => [...document.querySelectorAll("#chart-done path")].some((line) =>
            new Set(line.getAttribute("d").match(/[\\d.]+(?=[LZ])/g)).size > 1)"""
    )
    done.locator("svg").hover()
    expect(done.locator(".readout")).to_contain_text("arithmetic")
    page.goto("/flask/autoscaler")
    number = page.locator("#chart-workers")
    expect(number.locator("path")).to_have_attribute("d", re.compile("M.+Z"))
    number.locator("svg").hover()
    expect(number.locator(".readout")).to_contain_text("workers")


def test_nothing_is_missed_while_the_web_container_restarts(stack: Stack, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate(RESTARTING)
    page = open_page()
    page.clock.install()
    page.goto("/flask")
    live(page)
    unloaded = mark(page)
    before = stack.submit_heavy(2)
    expect_state(row(page, before), "STARTED")
    stack.docker("restart", stack.flask)  # which takes longer than that job
    stack.wait_healthy(stack.flask, stack.nginx)
    after = stack.submit_heavy()
    stack.wait_state(after, "SUCCESS")
    page.clock.fast_forward(POLL)  # or has the stream come back already?
    expect_state(row(page, before), "SUCCESS")
    expect_state(row(page, after), "SUCCESS")
    page.clock.fast_forward(LATER)
    live(page)
    expect_state(row(page, stack.submit_heavy()), "SUCCESS")
    assert unloaded()


def test_where_no_stream_is_given_the_page_looks_again_and_again(
    stack: Stack, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("status of 503")
    page = open_page()
    page.clock.install()
    page.route("**/flask/live", lambda route: route.fulfill(status=503, headers={"Retry-After": "30"}))
    page.goto("/flask")
    expect(page.locator("#live")).to_have_text(re.compile("every 5 s"))
    unloaded = mark(page)
    task_id = stack.submit_heavy()
    stack.wait_state(task_id, "SUCCESS")
    page.clock.fast_forward(POLL)
    expect_state(row(page, task_id), "SUCCESS")

    page.unroute("**/flask/live")
    page.clock.fast_forward(LATER)
    live(page)
    expect_state(row(page, stack.submit_heavy()), "SUCCESS")
    assert unloaded()


def test_a_page_that_nobody_looks_at_gives_its_stream_back(stack: Stack, open_page: OpenPage) -> None:
    page = open_page()
    page.clock.install()
    page.goto("/flask")
    live(page)
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/flask/live")):
        visible(page, False)
        page.clock.fast_forward(LATER)
    missed = stack.submit_heavy()
    stack.wait_state(missed, "SUCCESS")
    visible(page, True)
    expect_state(row(page, missed), "SUCCESS")


def visible(page: Page, is_visible: bool) -> None:
    """Make the page believe that its tab is in front, or not; headless Chromium has no tabs to switch."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        not is_visible,
    )
