"""While something is broken, the pages say what, and go on as far as they can."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.support import OpenPage, Watch, expect_state, live, mark, row, submit
from tests.support.stack import Stack

#: Milliseconds between two looks of the front page: see document_root/well.js.
LOOKS_EVERY = 10_000


@pytest.mark.timeout(240)
def test_the_broker_goes_down_and_comes_back(stack: Stack, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("status of 503")  # the front page asks whether all is well
    page, front = open_page(), open_page()
    front.clock.install()
    front.goto("/")
    expect(front.locator("#well")).to_contain_text("All is well")
    page.goto("/flask?form=add")
    live(page)
    unloaded = mark(page)
    stack.docker("stop", stack.rabbitmq)
    try:
        expect(page.locator("#panel")).to_contain_text("RabbitMQ does not answer")
        front.clock.fast_forward(LOOKS_EVERY)
        expect(front.locator("#well")).to_contain_text(re.compile("not all is well", re.IGNORECASE))
        accepted = submit(page, "add", a="20", b="22")
        expect_state(row(page, accepted), "PENDING")
        assert stack.status(accepted)["status"] == "PENDING"
    finally:
        stack.docker("start", stack.rabbitmq)
        stack.wait_healthy()
    expect_state(row(page, accepted), "SUCCESS")
    expect(row(page, accepted)).to_contain_text("42")
    expect(page.locator("#panel")).not_to_contain_text("RabbitMQ does not answer")
    front.clock.fast_forward(LOOKS_EVERY)
    expect(front.locator("#well")).to_contain_text("All is well")
    assert unloaded()


@pytest.mark.timeout(120)
def test_a_page_without_workers_says_what_to_do(stack: Stack, open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/flask?form=add")
    live(page)
    stack.docker("stop", stack.celery)
    try:
        expect(page.locator("#panel")).to_contain_text("No worker is there")
        expect(page.locator("#panel")).to_contain_text("./launch_celery_worker.sh 2")
        waiting = submit(page, "add", a="1", b="1")
        expect(row(page, waiting)).to_contain_text("waits for a worker")
    finally:
        stack.docker("start", stack.celery)
        stack.wait_healthy(stack.celery)
    expect_state(row(page, waiting), "SUCCESS")
    expect(page.locator("#panel")).not_to_contain_text("No worker is there")


def test_the_front_page_tells_when_the_application_does_not_answer(open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("net::ERR_FAILED")
    page = open_page()
    page.route("**/flask/healthz/background", lambda route: route.abort())
    page.goto("/")
    expect(page.locator("#well")).to_contain_text("does not answer")
