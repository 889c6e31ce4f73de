"""Where people log in: the pages work for them as before, and those of administrators can be used by everybody."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.support import PHONE, Watch, fill, send_button
from tests.support.stack import PREFIX, Stack


@pytest.fixture(scope="module")
def stack(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack in which people have to log in."""
    stack = Stack(f"{PREFIX}_login", tmp_path_factory.mktemp("login"))
    stack.env["AUTH"] = "on"
    stack.build()
    yield stack
    stack.remove()


def new() -> str:
    """Return the end of a name that nobody has, also when a test has to be run again."""
    return uuid4().hex[:8]


@pytest.fixture(scope="module")
def password(stack: Stack) -> str:
    """Return the password of an administrator, ``ann``."""
    shown = stack.run("ops/users.sh", "add", "ann", "--role", "admin").stdout
    found = re.search(r"password: (\S+)", shown)
    assert found, shown
    return found[1]


@pytest.fixture
def inside(page: Page, password: str) -> Page:
    """Return a page of somebody who has logged in."""
    log_in(page, "ann", password)
    return page


def log_in(page: Page, name: str, password: str) -> None:
    page.goto("/flask/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/flask")


def test_who_logs_in_gets_where_they_wanted_to_go(page: Page, password: str, watch: Watch) -> None:
    watch.tolerate("status of 401")
    page.goto("/flask/todos")
    expect(page).to_have_url(re.compile(r"/flask/login\?next="))
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This name and this password do not belong together.")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/flask/todos$"))
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile(r"/flask/login$"))


def test_forms_work_in_the_page_and_in_rows_that_were_pushed(inside: Page, stack: Stack) -> None:
    inside.goto("/flask?form=heavy")
    fill(inside, "heavy", seconds="60")
    send_button(inside, "heavy").click()
    expect(inside.locator("#notice")).to_contain_text("Accepted")
    row = inside.locator("#jobs tbody tr").first
    expect(row.locator("[data-state=PROGRESS], [data-state=STARTED]")).to_be_visible()
    row.get_by_role("button", name="Cancel").click()
    expect(inside.locator("#notice")).to_contain_text("Cancelled")
    inside.goto("/flask/audit")
    expect(inside.locator("#audit tbody tr").first).to_contain_text("cancel")


def test_an_administrator_lets_somebody_in(inside: Page) -> None:
    name = f"ben{new()}"
    inside.goto("/flask/admin")
    inside.get_by_label("Name").first.fill(name)
    inside.get_by_role("button", name="Add").click()
    expect(inside.locator("#notice")).to_contain_text(f"{name} may log in now, with the password")
    expect(inside.locator("#people")).to_contain_text(name)
    token = f"nightly{new()}"
    inside.get_by_label("Name").last.fill(token)
    inside.get_by_role("button", name="Make").click()
    expect(inside.locator("#notice")).to_contain_text(f"The token {token} is warren_")
    inside.locator("#tokens tr", has_text=token).get_by_role("button", name="Revoke").click()
    expect(inside.locator("#tokens")).not_to_contain_text(token)


def test_a_viewer_is_shown_no_form_that_would_be_refused(page: Page, stack: Stack) -> None:
    name = f"eve{new()}"
    shown = stack.run("ops/users.sh", "add", name, "--role", "viewer").stdout.partition("password: ")[2].split()[0]
    log_in(page, name, shown)
    for path in ("/flask", "/flask/failures", "/flask/schedules", "/flask/todos"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("form[method=post] button:visible")).to_have_text(["Log out"])
    page.goto("/flask")
    made = stack.run("ops/tokens.sh", "add", f"pushes{new()}", "--role", "operator").stdout.strip()
    stack.http.post("/flask/heavy", json={"seconds": 60}, headers={"Authorization": f"Bearer {made}"})
    row = page.locator("#jobs tbody tr").first
    expect(row.locator("[data-state=PROGRESS], [data-state=STARTED]")).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()


@pytest.mark.parametrize("path", ["/flask", "/flask/account", "/flask/admin", "/flask/audit"])
def test_everybody_can_use_the_pages(inside: Page, path: str) -> None:
    inside.goto(path)
    for scheme in ("light", "dark"):
        inside.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(inside)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
    for width in (PHONE["width"], 320):
        inside.set_viewport_size({"width": width, "height": PHONE["height"]})
        assert inside.evaluate("document.documentElement.scrollWidth") <= width


def test_everybody_can_use_the_login(page: Page) -> None:
    page.goto("/flask/login")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
