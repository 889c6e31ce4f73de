"""To-dos: added, ticked, changed, deleted, exported."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.support import Watch, mark
from tests.support.stack import Stack


@pytest.fixture(autouse=True)
def no_todos(stack: Stack) -> Iterator[None]:
    """Begin with an empty list, and leave one."""
    clear(stack)
    yield
    clear(stack)


def clear(stack: Stack) -> None:
    for todo in stack.http.get("/flask/todos", params={"limit": "500"}).json()["data"]:
        stack.http.delete(f"/flask/todos/{todo['id']}")


def add(page: Page, text: str) -> Locator:
    """Add a to-do and return its item in the list."""
    page.locator("#add-todo input[name=text]").fill(text)
    page.locator("#add-todo").get_by_role("button").click()
    item = page.locator("#todos li").filter(has=page.locator(f'input[name=text][value="{text}"]'))
    expect(item).to_be_visible()
    return item


def todos(stack: Stack) -> list[tuple[str, bool]]:
    return [(todo["text"], todo["done"]) for todo in stack.http.get("/flask/todos").json()["data"]]


def test_a_todo_from_beginning_to_end(stack: Stack, page: Page) -> None:
    page.goto("/flask/todos")
    expect(page.get_by_text("Nothing to do.")).to_be_visible()
    unloaded = mark(page)
    plants, meter = add(page, "water the plants"), add(page, "read the <i>meter</i>")
    expect(page.get_by_text("Nothing to do.")).to_have_count(0)
    expect(page.locator("#add-todo input[name=text]")).to_have_value("")

    meter.get_by_role("checkbox").check()
    expect(page.locator("#notice")).to_contain_text("Saved")
    assert todos(stack) == [("water the plants", False), ("read the <i>meter</i>", True)]

    text = plants.locator("input[name=text]")
    text.fill("water the cactus")
    with page.expect_response("**/flask/ui/todos/*"):
        text.press("Enter")
    expect(page.locator('#todos input[value="water the cactus"]')).to_be_visible()
    assert todos(stack)[0] == ("water the cactus", False)

    cactus = page.locator("#todos li").first
    cactus.get_by_role("button", name="Delete").click()
    expect(page.locator("#todos li")).to_have_count(1)
    page.locator("#notice").get_by_role("button", name="Undo").click()
    expect(page.locator("#todos input[name=text]").first).to_have_value("water the cactus")
    meter.get_by_role("button", name="Delete").click()
    expect(meter).to_have_count(0)
    assert unloaded()
    assert todos(stack) == [("water the cactus", False)]
    page.reload()
    expect(page.locator("#todos li")).to_have_count(1)


def test_a_wrong_text_is_told_beside_its_field(stack: Stack, page: Page, watch: Watch) -> None:
    watch.tolerate("status of 422")
    page.goto("/flask/todos")
    item = add(page, "stays as it is")
    page.locator("#add-todo").get_by_role("button").click()
    new = page.locator("#add-todo input[name=text]")
    expect(new).to_have_attribute("aria-invalid", "true")
    expect(new).to_have_accessible_description(re.compile("character"))
    expect(new).to_be_focused()

    new.fill("   ")
    page.locator("#add-todo").get_by_role("button").click()
    expect(new).to_have_accessible_description(re.compile("blank"))

    item.locator("input[name=text]").fill("")
    item.get_by_role("button", name="Save").click()
    changed = page.locator("#todos li input[name=text]")
    expect(changed).to_have_attribute("aria-invalid", "true")
    expect(changed).to_have_value("")
    assert todos(stack) == [("stays as it is", False)]


def test_ticks_in_quick_succession_all_stay(stack: Stack, page: Page) -> None:
    for number in range(6):
        stack.http.post("/flask/todos", json={"text": f"number {number}"})
    page.goto("/flask/todos")
    boxes = page.locator("#todos").get_by_role("checkbox")
    for number in range(6):
        boxes.nth(number).check()
    expect(page.locator("#todos input[name=done][checked]")).to_have_count(6)
    assert all(done for _, done in todos(stack))


def test_the_list_has_pages(stack: Stack, page: Page) -> None:
    for number in range(51):
        stack.http.post("/flask/todos", json={"text": f"number {number}"})
    page.goto("/flask/todos")
    expect(page.locator("#todos li")).to_have_count(50)
    page.get_by_role("link", name="More").click()
    expect(page.locator("#todos li")).to_have_count(1)
    page.get_by_role("link", name="First").click()
    expect(page.locator("#todos li")).to_have_count(50)


def test_what_is_done_is_exported_and_downloaded(stack: Stack, page: Page) -> None:
    stack.http.post("/flask/todos", json={"text": "not yet"})
    stack.http.post("/flask/todos", json={"text": "well done", "done": True})
    page.goto("/flask/todos")
    page.get_by_label("A job writes the to-dos").select_option("true")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.locator("#following").get_by_role("link", name="Download").click()
    lines = download.value.path().read_text().splitlines()
    assert [line.split(",")[1:3] for line in lines[1:]] == [["well done", "true"]]
