"""While something is broken, the pages say what, and go on as far as they can."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.support import DESKTOP, OpenPage, Watch, expect_state, live, mark, row, submit
from tests.support.stack import Stack

#: Milliseconds between two looks of the front page: see document_root/well.js.
LOOKS_EVERY = 10_000


def test_the_broker_goes_down_and_comes_back(stack: Stack, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("status of 503")  # the front page asks whether all is well
    before = stack.submit_heavy()
    page, front = open_page(viewport=DESKTOP), open_page()
    front.clock.install()
    front.goto("/")
    expect(front.locator("#well")).to_contain_text("All is well")
    page.goto("/flask?form=add")
    live(page)
    unloaded = mark(page)
    stack.docker("stop", stack.rabbitmq)
    try:
        expect(page.locator("#trouble")).to_contain_text("RabbitMQ does not answer")
        assert page.get_by_role("status").filter(has_text="RabbitMQ does not answer").count() == 1
        expect(page.locator("#health [data-well=no]")).to_have_text(re.compile(r"^RabbitMQ no answer for \d"))
        # It is seen first, on every screen and every page, without JavaScript, too.
        for width in (390, 1024, 1440):
            page.set_viewport_size({"width": width, "height": 800})
            expect(page.locator("#trouble p")).to_be_in_viewport(ratio=1)
        page.set_viewport_size(DESKTOP)
        plain = open_page(java_script_enabled=False)
        for path in ("/flask", "/flask/todos", f"/flask/tasks/{before}"):
            plain.goto(path)
            expect(plain.locator("#trouble")).to_contain_text("RabbitMQ does not answer")
            expect(plain.locator("#trouble p")).to_be_in_viewport(ratio=1)
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
    expect(page.locator("#trouble")).to_have_text("")
    front.clock.fast_forward(LOOKS_EVERY)
    expect(front.locator("#well")).to_contain_text("All is well")
    assert unloaded()


def test_a_page_without_workers_and_beat_says_what_that_means(stack: Stack, open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/flask?form=add")
    live(page)
    expect(page.locator("#trouble")).to_have_text("")
    stack.docker("stop", stack.celery, stack.beat)
    try:
        expect(page.locator("#trouble")).to_contain_text("No worker is there")
        expect(page.locator("#health")).to_contain_text("Workers none")
        expect(page.locator("#health")).to_contain_text(re.compile(r"Beat no answer for \d"))
        expect(page.locator("#trouble")).to_contain_text("./launch_celery_worker.sh 2")
        expect(page.locator("#trouble")).to_contain_text("The beat container does not answer")
        waiting = submit(page, "add", a="1", b="1")
        expect(row(page, waiting)).to_contain_text("waits for a worker")
    finally:
        stack.docker("start", stack.celery, stack.beat)
        stack.wait_healthy(stack.celery, stack.beat)
    expect_state(row(page, waiting), "SUCCESS")
    expect(page.locator("#trouble")).to_have_text("")


def test_the_front_page_tells_when_the_application_does_not_answer(open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("net::ERR_FAILED")
    page = open_page()
    page.route("**/flask/healthz/background", lambda route: route.abort())
    page.goto("/")
    expect(page.locator("#well")).to_contain_text("does not answer")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"rabbitmq": "RabbitMQ does not answer: [Errno -2] Name not known", "ledger": "ok", "workers": 0},
            "Not all is well. RabbitMQ does not answer. No worker is there. Jobs are accepted, and run later.",
        ),
        (
            {"rabbitmq": "ok", "ledger": "cannot be read: disk I/O error", "workers": 0},
            "Not all is well. The ledger does not answer, and no job is accepted.",
        ),
    ],
)
def test_the_front_page_tells_trouble_in_plain_words(
    open_page: OpenPage, watch: Watch, answer: dict[str, Any], text: str
) -> None:
    watch.tolerate("status of 503")
    page = open_page()
    page.route("**/flask/healthz/background", lambda route: route.fulfill(status=503, json=answer))
    page.goto("/")
    expect(page.locator("#well")).to_have_text(text)
