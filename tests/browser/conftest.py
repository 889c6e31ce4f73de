"""Chromium, and pages in it that are watched while a test uses them."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.support import DESKTOP, OPTIONS, OpenPage, Watch, find_chromium
from tests.support.stack import PREFIX, Stack, running

#: Milliseconds that anything on a page may take, on a machine that is busy with the stack as well.
PATIENCE = 30_000


#: With this Chromium drops requests when a network interface comes or goes on the machine, as those of containers do.
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have a test run again that failed for that reason, and for no other."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=NETWORK_CHANGED))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Tell it as the reason, whatever it was that the test then waited for in vain."""
    try:
        yield
    except Exception as error:
        watch = getattr(item, "funcargs", {}).get("watch")
        if isinstance(watch, Watch) and any(NETWORK_CHANGED in complaint for complaint in watch.complaints()):
            raise RuntimeError(f"{NETWORK_CHANGED}: {error}") from error
        raise


@pytest.fixture(scope="package")
def stack(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack for these tests alone, so that they can run beside those of tests/stack."""
    with running(Stack(f"{PREFIX}_browser", tmp_path_factory.mktemp("browser"))) as stack:
        yield stack


# Not of scope `session`: while Playwright is there, an asyncio loop counts as running, and no other test can have one.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Return a browser; without one the tests are skipped, and fail where CI has to run them."""
    program = find_chromium()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium is installed, and CI must run the browser tests", pytrace=False)
        pytest.skip("no Chromium is installed: ./test.sh --install browser brings it")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def watch(stack: Stack) -> Iterator[Watch]:
    """Watch all pages of a test, and fail it if one complained of anything or asked another host for anything."""
    watch = Watch(stack.url)
    yield watch
    assert watch.complaints() == []


@pytest.fixture
def open_page(stack: Stack, chromium: Browser, watch: Watch) -> Iterator[OpenPage]:
    """Return a function that opens an empty page, each in a profile of its own; options are those of Playwright."""
    contexts = []

    def new(**options: Any) -> Page:
        # A zone that is far from UTC, so that one cannot be taken for the other.
        context = chromium.new_context(base_url=stack.url, locale="en-GB", timezone_id="Asia/Kolkata", **options)
        context.set_default_timeout(PATIENCE)
        watch.follow(context)
        contexts.append(context)
        return context.new_page()

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """Return an empty page of desktop size."""
    return open_page(viewport=DESKTOP)
