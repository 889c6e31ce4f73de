"""The pages beside those of jobs and to-dos, and what all of them are made of."""

import json
import re
import subprocess

import pytest
from playwright.sync_api import Page, Response, expect

from jobs import __version__
from tests.browser.support import OpenPage, Watch, live
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


@pytest.mark.parametrize("path", ["/flask", "/flask/todos", "/flask/tasks/unknown"])
def test_each_page_says_which_version_it_is(page: Page, watch: Watch, path: str) -> None:
    watch.tolerate("status of 404")
    page.goto(path)
    expect(page.get_by_role("contentinfo")).to_have_text(f"Warren {__version__}")


def test_the_command_of_a_jobs_page_can_be_copied(stack: Stack, page: Page) -> None:
    task_id = stack.submit_heavy()
    page.goto(f"/flask/tasks/{task_id}")
    command = page.locator("code", has_text="curl")
    expect(command).to_have_text(f"curl {stack.url}/flask/tasks/{task_id}")
    answer = subprocess.run([*command.inner_text().split(), "--silent"], capture_output=True, check=True)
    assert json.loads(answer.stdout)["task_id"] == task_id


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


@pytest.mark.parametrize(
    "path", ["/", "/flask", "/flask/failures", "/flask/todos", "/flask/docs", "/flask/tasks/unknown"]
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
