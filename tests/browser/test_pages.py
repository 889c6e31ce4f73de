"""The pages beside those of jobs and to-dos, and what all of them are made of."""

import json
import re
import subprocess

import pytest
from playwright.sync_api import Page, Response, expect

from jobs import __version__
from tests.browser.support import OpenPage, Watch, live, mark, row
from tests.support.stack import Stack

#: Bytes that the dashboard may need, compressed.
HEAVIEST = 150_000


def test_the_front_page_leads_to_every_other(page: Page) -> None:
    page.goto("/")
    for name, address in (("Dashboard", "/flask"), ("To-dos", "/flask/todos"), ("API", "/flask/docs")):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page).to_have_url(re.compile(f"{address}$"))
        expect(page.locator("main, #swagger-ui").first).to_be_visible()
        page.goto("/")


def test_the_navigation_says_where_one_is(page: Page) -> None:
    page.goto("/flask")
    bar = page.get_by_role("navigation", name="Main")
    expect(bar.locator("[aria-current=page]")).to_have_text("Jobs")
    bar.get_by_role("link", name="To-dos").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("To-dos")
    expect(bar.locator("[aria-current=page]")).to_have_text("To-dos")
    bar.get_by_role("link", name="Queues").click()
    expect(page).to_have_url(re.compile("/flask/queues$"))
    expect(page.get_by_role("heading", name="Queues and workers")).to_be_in_viewport()
    expect(bar.locator("[aria-current=page]")).to_have_text("Queues")
    bar.get_by_role("link", name="API").click()
    expect(page).to_have_url(re.compile("/flask/docs$"))


def test_one_click_on_the_front_page_leads_to_the_page_of_a_job(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Submit a heavy job").click()
    expect(page.locator("#job")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("Accepted")


def test_the_documentation_stands_within_the_site(page: Page) -> None:
    page.goto("/flask")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Docs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The one-hour tour")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Benchmarks").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Benchmarks")
    page.wait_for_load_state()
    pictures = page.locator("article img")
    assert pictures.count() > 0
    assert pictures.evaluate_all("all => all.every(img => img.complete && img.naturalWidth > 0)")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Jobs").click()
    expect(page.locator("#jobs")).to_be_attached()


@pytest.mark.parametrize("path", ["/flask", "/flask/todos", "/docs/tour.md", "/flask/tasks/unknown"])
def test_each_page_says_which_version_it_is(page: Page, watch: Watch, path: str) -> None:
    watch.tolerate("status of 404")
    page.goto(path)
    expect(page.get_by_role("contentinfo")).to_have_text(f"Warren {__version__}")


def test_the_command_of_a_jobs_page_can_be_copied(stack: Stack, page: Page) -> None:
    task_id = stack.submit_heavy()
    page.goto(f"/flask/tasks/{task_id}")
    commands = [page.locator(f"#{id_}").inner_text() for id_ in ("look", "again")]
    assert commands[0] == f"curl {stack.url}/flask/tasks/{task_id}"
    look, again = (
        json.loads(subprocess.run(["bash", "-c", f"{command} --silent"], capture_output=True, check=True).stdout)
        for command in commands
    )
    assert look["task_id"] == task_id
    repeat = stack.http.get(f"/flask/tasks/{again['task_id']}").json()
    assert (repeat["task_type"], repeat["input_params"]) == (look["task_type"], look["input_params"])


def test_a_text_of_a_jobs_page_is_copied_though_it_is_folded(stack: Stack, page: Page) -> None:
    task_id = stack.submit("text", text="a <b>long</b> text\n" * 100)
    stack.wait_state(task_id, "SUCCESS")  # its page is not renewed from now on, so the button keeps its word
    page.goto(f"/flask/tasks/{task_id}")
    params = page.locator("#params")
    expect(params).to_be_hidden()
    page.get_by_role("button", name="Copy Parameters").click()
    expect(page.get_by_role("button", name="Copied Parameters")).to_be_visible()
    copied = params.text_content()
    page.goto("/flask?form=text")
    field = page.locator("#text-text")
    field.fill("")
    field.press("Control+v")
    expect(field).to_have_value(str(copied))


@pytest.mark.parametrize("path", ["/flask/tasks/unknown", "/flask/nowhere", "/nowhere"])
def test_what_is_not_there_is_told_in_a_page(page: Page, watch: Watch, path: str) -> None:
    watch.tolerate("status of 404")
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("not found", re.IGNORECASE))


def test_an_unknown_job_is_named_and_a_way_back_offered(page: Page, watch: Watch) -> None:
    watch.tolerate("status of 404")
    page.goto("/flask/tasks/unknown")
    expect(page.get_by_role("main")).to_contain_text("unknown")
    page.get_by_role("link", name="All jobs").click()
    expect(page.locator("#jobs")).to_be_visible()


def test_the_page_of_the_api_lets_one_try_a_route(stack: Stack, page: Page) -> None:
    page.goto("/flask/docs")
    operation = page.locator(".opblock", has_text="/flask/healthz/background").first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text('"rabbitmq": "ok"')


def test_the_page_of_the_api_is_dark_where_the_browser_is(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/flask/docs")
    expect(page.locator("html.dark-mode .opblock").first).to_be_visible()
    page.emulate_media(color_scheme="light")
    expect(page.locator("html.dark-mode")).to_have_count(0)


@pytest.mark.parametrize(
    "path", ["/", "/flask", "/flask/failures", "/flask/todos", "/flask/docs", "/docs/tour.md", "/flask/tasks/unknown"]
)
def test_each_page_keeps_a_strict_policy(page: Page, watch: Watch, path: str) -> None:
    """What the policy forbids, a page must not try either: see `watch`."""
    watch.tolerate("status of 404")
    answer = page.goto(path)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    directives = dict(directive.strip().partition(" ")[::2] for directive in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives["object-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in directives.get("script-src", "")
    # It does what it says: a script that stands in the page is not run.
    watch.tolerate("script-src")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.injected = true";
            document.body.append(script);
        }"""
    )
    assert page.evaluate("window.injected") is None


def test_the_dashboard_is_light(open_page: OpenPage) -> None:
    """What a first visit loads, compressed: the page with 50 jobs, styles and scripts."""
    page = open_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto("/flask")
    live(page)
    loaded = {answer.url.rpartition("/")[2]: answer for answer in answers if not answer.url.endswith("/live")}
    assert {
        "flask",
        "tokens.css",
        "base.css",
        "jobs.css",
        "list.css",
        "inter.woff2",
        "dashboard.js",
        "list.js",
    } <= loaded.keys()
    weights = {name: answer.request.sizes()["responseBodySize"] for name, answer in loaded.items()}
    assert sum(weights.values()) < HEAVIEST, weights
    large = [name for name, answer in loaded.items() if len(answer.body()) > 2_000 and name != "inter.woff2"]
    assert [name for name in large if loaded[name].headers.get("content-encoding") != "gzip"] == []


def test_what_the_viewer_wants_is_remembered(stack: Stack, page: Page) -> None:
    page.goto("/flask")
    live(page)
    unloaded = mark(page)
    page.get_by_text("View", exact=True).click()
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_label("Theme").select_option("dark")
    expect(page.locator("body")).not_to_have_css("background-color", light)
    page.get_by_label("Updates").select_option("paused")
    expect(page.locator("#live")).to_have_text("paused")
    assert unloaded()
    page.get_by_label("Times").select_option("utc")
    expect(page.locator("html")).to_have_attribute("data-times", "utc")
    page.reload()
    expect(page.locator("#live")).to_have_text("paused")
    assert page.evaluate(background) != light
    waits = stack.submit("add", a=1, b=0)
    stack.wait_state(waits, "SUCCESS")
    expect(row(page, waits)).to_have_count(0)
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Updates").select_option("live")
    expect(row(page, waits)).to_be_visible()
    expect(row(page, waits).locator("time")).to_have_attribute("title", re.compile("UTC$"))


def test_a_second_click_on_pause_does_not_resume(stack: Stack, page: Page) -> None:
    page.goto("/flask/queues")
    live(page)
    queue = page.locator("#queue-table tr", has=page.get_by_role("rowheader", name="export"))
    queue.get_by_role("button", name="Pause").click()
    page.wait_for_function(
        """() => {
            const { textContent, ariaDisabled } = document.querySelector("#pause-export button");
            return textContent === "Resume" && ariaDisabled === "true";
        }"""
    )
    expect(page.locator("#trouble")).to_contain_text("is paused")
    resume = queue.get_by_role("button", name="Resume")
    expect(resume).to_be_enabled()
    resume.click()
    expect(page.locator("#trouble")).not_to_contain_text("is paused")
