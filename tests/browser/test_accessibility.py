"""The pages can be used by everybody: axe finds nothing, the keyboard is enough, a phone is wide enough."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.support import PHONE, OpenPage, Watch, expect_state, fill, live, press, send_button
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def jobs(stack: Stack) -> Iterator[dict[str, str]]:
    """Return the id of a job that has succeeded, one that has failed, and one for tomorrow."""
    ids = {"SUCCESS": stack.submit("text", text="word " * 40, repeat=3), "FAILURE": stack.submit("divide", a=1, b=0)}
    for state, task_id in ids.items():
        stack.wait_state(task_id, state)
    later = {"task_type": "heavy", "run_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    ids["PENDING"] = stack.http.post("/flask/tasks", json=later).json()["task_id"]
    stack.http.post(
        "/flask/todos", json={"text": "a to-do with a rather long text that may not fit " * 5, "done": True}
    )
    nightly = {"name": "nightly-export", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "task_type": "export"}
    stack.http.post("/flask/schedules", json=nightly)
    stack.http.post("/flask/queues/export/pause")
    yield ids
    stack.http.post("/flask/queues/export/resume")
    stack.http.delete("/flask/schedules/nightly-export")
    stack.http.delete(f"/flask/tasks/{ids['PENDING']}")


Open = Callable[[Page, dict[str, str]], Any]

#: Every page, and the states in which it looks different.
PAGES: dict[str, Open] = {
    "front page": lambda page, jobs: page.goto("/"),
    "jobs": lambda page, jobs: open_list(page),
    "wrong form": lambda page, jobs: send_wrong_form(page),
    "no jobs": lambda page, jobs: page.goto("/flask?q=ffff-no-such-id"),
    "job that has succeeded": lambda page, jobs: page.goto(f"/flask/tasks/{jobs['SUCCESS']}?said=accepted"),
    "job that has failed": lambda page, jobs: page.goto(f"/flask/tasks/{jobs['FAILURE']}"),
    "job that waits": lambda page, jobs: page.goto(f"/flask/tasks/{jobs['PENDING']}"),
    "queues": lambda page, jobs: page.goto("/flask/queues"),
    "queue": lambda page, jobs: page.goto("/flask/queues/export"),
    "workers": lambda page, jobs: page.goto("/flask/workers"),
    "worker": lambda page, jobs: open_worker(page),
    "autoscaler": lambda page, jobs: page.goto("/flask/autoscaler"),
    "to-dos": lambda page, jobs: page.goto("/flask/todos"),
    "schedules": lambda page, jobs: page.goto("/flask/schedules"),
    "kinds": lambda page, jobs: page.goto("/flask/kinds"),
    "kind": lambda page, jobs: page.goto("/flask/kinds/divide"),
    "failures": lambda page, jobs: page.goto("/flask/failures"),
    "documentation": lambda page, jobs: page.goto("/docs/benchmarks.md"),
    "not found": lambda page, jobs: page.goto("/flask/tasks/unknown"),
}


def open_list(page: Page) -> None:
    page.goto("/flask?form=image_processing&limit=10")
    live(page)


def open_worker(page: Page) -> None:
    page.goto("/flask/workers")
    page.locator("#figures a").first.click()
    expect(page.get_by_role("button", name="Drain")).to_be_visible()


def send_wrong_form(page: Page) -> None:
    page.goto("/flask?form=divide&limit=10")
    fill(page, "divide", a="", b="")
    send_button(page, "divide").click()
    expect(page.locator("[aria-invalid]")).to_have_count(2)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_in_light_and_dark(page: Page, watch: Watch, jobs: dict[str, str], name: str) -> None:
    watch.tolerate("status of 4(04|22)")
    PAGES[name](page, jobs)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(open_page: OpenPage, watch: Watch, jobs: dict[str, str], name: str) -> None:
    watch.tolerate("status of 4(04|22)")
    page = open_page(viewport=PHONE, is_mobile=True, has_touch=True)
    PAGES[name](page, jobs)
    for width in (PHONE["width"], 320):
        page.set_viewport_size({"width": width, "height": PHONE["height"]})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sideways = page.locator("main button, main input, main select, main textarea").evaluate_all(
            """(all, width) => all.filter(e => e.checkVisibility() && e.getBoundingClientRect().right > width + 1)
                .map(e => e.outerHTML)""",
            width,
        )
        assert sideways == []
    small = page.locator("main :is(button, .button, summary, select, label:has([type=checkbox]))").evaluate_all(
        "all => all.filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
    )
    assert small == [], "too small for a finger"


# --- keyboard ---------------------------------------------------------------------------------------------------------

#: Describes the element that has the focus: what it is called, where it stands, whether its focus can be seen.
FOCUSED = """() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    return {
        name: element.id || element.textContent.trim(),
        order: element === document.body ? -1 : [...document.querySelectorAll("*")].indexOf(element),
        seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 || style.boxShadow !== "none",
        inside: element.getBoundingClientRect().right > 0,
    };
}"""


@pytest.mark.parametrize("path", ["/", "/flask?form=divide", "/flask/todos"])
def test_tab_goes_through_the_page_in_order_and_the_focus_is_seen(stack: Stack, page: Page, path: str) -> None:
    stack.http.post("/flask/todos", json={"text": "reached by keyboard"})
    page.goto(path)
    visited: list[dict[str, Any]] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["order"] < 0:  # beyond the last element
            break
        # A field for a time has several stops; the browser shows which.
        if not visited or visited[-1]["order"] != focused["order"]:
            visited.append(focused)
    order = [focused["order"] for focused in visited]
    assert order == sorted(order)
    assert [focused["name"] for focused in visited if not focused["seen"] or not focused["inside"]] == []
    if path != "/":
        first = [focused["name"] for focused in visited[:8]]
        assert first == ["Skip to content", "Warren", "Jobs", "Failures", "Kinds", "Queues", "Schedules", "To-dos"]


def test_a_job_is_submitted_and_cancelled_with_the_keyboard_alone(page: Page) -> None:
    page.goto("/flask")
    live(page)
    page.keyboard.press("n")
    expect(page.locator("#heavy-seconds")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("60")
    page.keyboard.press("Enter")
    task_id = str(page.locator("#notice a").get_attribute("href")).rpartition("/")[2]
    shown = page.locator(f"#job-{task_id}")
    expect_state(shown, "STARTED")
    # The focus stays where it was, and then where the button was.
    assert page.evaluate("document.activeElement.id") == "heavy-seconds"
    shown.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect_state(shown, "REVOKED")
    expect(shown.get_by_role("button", name="Retry")).to_be_focused()


def test_keys_lead_through_the_list(stack: Stack, page: Page) -> None:
    older, newer = stack.submit_heavy(60), stack.submit_heavy(60)
    stack.wait_state(newer, "STARTED")
    page.goto("/flask")
    live(page)
    for key in "jjkj":
        page.keyboard.press(key)
    expect(page.locator(f"#job-{older}").get_by_role("link")).to_be_focused()
    page.keyboard.press("c")
    expect_state(page.locator(f"#job-{older}"), "REVOKED")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator("#job")).to_have_attribute("data-id", newer)
    live(page)
    page.keyboard.press("c")
    expect_state(page.locator("#job"), "REVOKED")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.go_back()
    live(page)
    page.keyboard.press("/")
    expect(page.locator("#filters [name=q]")).to_be_focused()
    page.keyboard.type("?n")
    expect(page.locator("#filters [name=q]")).to_have_value("?n")


def test_what_happens_is_announced(page: Page) -> None:
    page.goto("/flask?form=add")
    notice = page.locator("#notice")
    expect(notice).to_have_attribute("aria-live", "polite")
    expect(notice).to_have_text("")
    press(page, send_button(page, "add"))
    expect(notice).to_contain_text("Accepted")
