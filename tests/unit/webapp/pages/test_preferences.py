"""How somebody wants to see the pages: kept in cookies, and said in the first tag of each page."""

import re

import pytest
from flask.testing import FlaskClient

BROWSER = {"Accept": "text/html"}
AT_FIRST = {"theme": "auto", "times": "local", "updates": "live"}


def shown(client: FlaskClient) -> dict[str, str]:
    [tag] = re.findall(r"<html ([^>]*)>", client.get("/flask/todos", headers=BROWSER).text)
    return dict(re.findall(r'data-(\w+)="(\w+)"', tag))


def test_a_page_is_as_its_viewer_wants_it(client: FlaskClient) -> None:
    assert shown(client) == AT_FIRST
    wanted = {"theme": "dark", "times": "utc", "updates": "paused"}
    answer = client.post("/flask/ui/preferences", data=wanted, headers={"Referer": "http://localhost/flask/todos?a=b"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/flask/todos?a=b")
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in answer.headers.getlist("Set-Cookie"))
    assert shown(client) == wanted
    page = client.get("/flask", headers=BROWSER).text
    assert re.findall(r'<option value="(\w+)" selected>', page)[:3] == list(wanted.values())
    assert 'data-theme="dark"' in client.get("/docs/tour.md", headers=BROWSER).text
    client.post("/flask/ui/preferences", data={"theme": "light"})
    assert shown(client) == AT_FIRST | {"theme": "light"}


def test_what_cannot_be_chosen_is_not_taken(client: FlaskClient) -> None:
    client.set_cookie("theme", 'dark"><script>')
    assert shown(client) == AT_FIRST


@pytest.mark.parametrize("referer", ["https://example.com/evil", "//example.com", "nonsense", ""])
def test_it_leads_to_no_other_place(client: FlaskClient, referer: str) -> None:
    answer = client.post("/flask/ui/preferences", headers={"Referer": referer})
    assert answer.headers["Location"] == "/flask"
