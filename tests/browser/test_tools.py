"""The pages of the tools behind Nginx: nothing that they need is blocked, and nobody has to sign in twice."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.support import DESKTOP, OpenPage
from tests.support.stack import Stack, wait_until
from tests.support.tools import USER, all_started


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> Iterator[dict[str, str]]:
    with all_started(stack) as passwords:
        yield passwords


@pytest.fixture
def page(open_page: OpenPage, passwords: dict[str, str], request: pytest.FixtureRequest) -> Page:
    """Return an empty page of somebody who has told the browser the password of a tool."""
    return open_page(viewport=DESKTOP, http_credentials={"username": USER, "password": passwords[request.param]})


@pytest.mark.parametrize("page", ["flower"], indirect=True)
def test_flower_shows_workers_and_jobs(stack: Stack, page: Page) -> None:
    page.goto("/flower/")
    expect(page.get_by_text(f"worker@{stack.celery}")).to_be_visible()
    page.goto("/flower/tasks")
    expect(page.locator("#tasks-table")).to_be_visible()


@pytest.mark.parametrize("page", ["prometheus"], indirect=True)
def test_prometheus_shows_alerts_first_and_draws_graphs(page: Page) -> None:
    page.goto("/prometheus/")
    expect(page.locator("b", has_text="NoWorker")).to_be_visible()

    def drawn() -> int:
        page.goto("/prometheus/classic/graph?g0.expr=up&g0.tab=0", wait_until="networkidle")
        return page.locator("svg").count()

    wait_until(drawn, 90, "there are figures to draw")


@pytest.mark.parametrize("page", ["rabbitmq_ui"], indirect=True)
def test_rabbitmqs_page_asks_for_nothing_and_shows_the_queues(page: Page) -> None:
    page.goto("/rabbitmq/#/queues")
    expect(page.get_by_role("link", name="arithmetic")).to_be_visible()
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()
