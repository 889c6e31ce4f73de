"""Chromium and Firefox, and pages in them that are watched while a test uses them."""

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.browser import firefox as relay
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
def playwright() -> Iterator[Playwright]:
    """Return what drives the browsers."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Return Chromium."""
    program = _installed("Chromium", find_chromium())
    browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def firefox(playwright: Playwright) -> Iterator[Browser]:
    """Return Firefox."""
    _installed("Firefox", relay.find_firefox())
    here: dict[str, str | float | bool] = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # By this channel Playwright speaks to a Firefox as it is, and not to a build of its own.
    browser = playwright.firefox.launch(channel="moz-firefox", executable_path=relay.__file__, env=here)
    yield browser
    browser.close()


def _installed(name: str, program: str | None) -> str:
    """Return the path of a browser; without it the tests are skipped, and fail where CI has to run them."""
    if program is not None:
        return program
    if os.environ.get("CI") == "true":
        pytest.fail(f"no {name} is installed, and CI must run the browser tests", pytrace=False)
    pytest.skip(f"no {name} is installed: ./test.sh --install browser brings it")


@pytest.fixture
def watch(stack: Stack) -> Iterator[Watch]:
    """Watch all pages of a test, and fail it if one complained of anything or asked another host for anything."""
    watch = Watch(stack.url)
    yield watch
    assert watch.complaints() == []


@pytest.fixture
def open_page(stack: Stack, chromium: Browser, watch: Watch) -> Iterator[OpenPage]:
    """Return a function that opens an empty page, each in a profile of its own; options are those of Playwright."""
    with _opening(stack, chromium, watch) as new:
        yield new


@pytest.fixture
def open_in_firefox(stack: Stack, firefox: Browser, watch: Watch) -> Iterator[OpenPage]:
    """Return the same for Firefox."""
    with _opening(stack, firefox, watch) as new:
        yield new


@contextmanager
def _opening(stack: Stack, browser: Browser, watch: Watch) -> Iterator[OpenPage]:
    contexts = []

    def new(**options: Any) -> Page:
        # A zone that is far from UTC, so that one cannot be taken for the other.
        context = browser.new_context(base_url=stack.url, locale="en-GB", timezone_id="Asia/Kolkata", **options)
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
