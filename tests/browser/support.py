"""What the tests of the pages share."""

import re
import shutil
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, ViewportSize, WebError, expect

DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}

OpenPage = Callable[..., Page]

#: With what Chromium is started.
OPTIONS = (
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: Chromium reports a breach of the Content Security Policy as an event first, and not each of them in the console.
REPORT_BREACHES = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP: ${event.effectiveDirective} forbids ${event.blockedURI} at ${event.sourceFile}`));
"""


def find_chromium() -> str | None:
    """Return the path of a Chromium that is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Watch:
    """Notes what pages must not do: errors, breaches of the Content Security Policy, requests to other hosts."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._complaints: list[str] = []
        self._tolerated: list[str] = []

    def follow(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.add_init_script(REPORT_BREACHES)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)

    def tolerate(self, pattern: str) -> None:
        """Let complaints pass that match a regular expression: what the test itself provokes."""
        self._tolerated.append(pattern)

    def complaints(self) -> list[str]:
        """Return what was noted and is not tolerated."""
        return [text for text in self._complaints if not any(re.search(part, text) for part in self._tolerated)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.type} in the console: {message.text} ({message.location.get('url')})")

    def _on_error(self, error: WebError) -> None:
        self._complaints.append(f"error of a script: {error.error}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:")):
            self._complaints.append(f"request to another host: {request.url}")


def row(page: Page, task_id: str) -> Locator:
    """Return a job's row in the list."""
    return page.locator(f"#job-{task_id}")


def expect_state(place: Locator, state: str) -> None:
    """Wait until a job's row, or its page, shows that state."""
    expect(place).to_have_attribute("data-state", state)


def fill(page: Page, task_type: str, **entries: str) -> None:
    """Fill in the form that is shown for a kind of job, by names of fields."""
    for name, text in entries.items():
        field = page.locator(f"#{task_type}-{name}")
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(text)
        else:
            field.fill(text)


def press(page: Page, button: Locator) -> str:
    """Press a button that submits a job, and return the id of the job that the page then says was accepted."""
    link = page.locator("#notice a")
    before = link.get_attribute("href") or "" if link.count() else ""
    button.click()
    expect(link).not_to_have_attribute("href", before)
    expect(page.locator("#notice")).to_contain_text("Accepted")
    return str(link.get_attribute("href")).rpartition("/")[2]


def submit(page: Page, task_type: str, **entries: str) -> str:
    """Fill in the form that is shown for a kind of job and send it; return the job's id."""
    fill(page, task_type, **entries)
    return press(page, send_button(page, task_type))


def send_button(page: Page, task_type: str) -> Locator:
    """Return the button of the form for a kind of job."""
    return page.locator(f"#submit-{task_type}").get_by_role("button", name="Submit")


def live(page: Page) -> None:
    """Wait until the page follows the stream of changes."""
    expect(page.locator("#live[data-on]")).to_be_visible()


def mark(page: Page) -> Callable[[], Any]:
    """Leave a mark in the page; the returned function tells whether it is there still, as no reload would leave it."""
    page.evaluate("window.marked = true")
    return lambda: page.evaluate("window.marked")
