"""What a page of another site makes the browser send is refused, if it would change something."""

import re
from itertools import product

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

#: How Nginx asks: for somebody at http://localhost:8000.
HERE = {"X-Forwarded-Host": "localhost:8000", "X-Forwarded-Proto": "http"}
ORIGIN = "http://localhost:8000"

CHANGING = ("POST", "PUT", "PATCH", "DELETE", "MADEUP")
ASKING = ("GET", "HEAD", "OPTIONS")

#: What a request says of where it comes from, and whether it may change something: `Sec-Fetch-Site` counts, and only
#: without it `Origin`.
SITES = {
    "same-origin": True,
    "none": True,
    "same-site": False,
    "cross-site": False,
    "": False,
    "none, cross-site": False,
}
ORIGINS = {
    None: True,
    ORIGIN: True,
    "HTTP://LOCALHOST:8000": True,
    "null": False,
    "": False,
    "http://localhost": False,
    "http://localhost:8010": False,
    "https://localhost:8000": False,
    "http://127.0.0.1:8000": False,
    "http://evil.example": False,
    "http://localhost:8000.evil.example": False,
    "http://evil.example/http://localhost:8000": False,
}
COMBINATIONS = [
    *((None, origin, allowed) for origin, allowed in ORIGINS.items()),
    *((site, origin, allowed) for (site, allowed), origin in product(SITES.items(), ORIGINS)),
]


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    return app.test_client()


def headers(site: str | None, origin: str | None) -> dict[str, str]:
    given = {"Sec-Fetch-Site": site, "Origin": origin}
    return HERE | {name: value for name, value in given.items() if value is not None}


def status(client: FlaskClient, method: str, path: str, headers: dict[str, str]) -> int:
    return client.open(path, method=method, headers=headers).status_code


@pytest.mark.parametrize(("site", "origin", "allowed"), COMBINATIONS)
def test_what_would_change_something_has_to_come_from_here(
    client: FlaskClient, site: str | None, origin: str | None, allowed: bool
) -> None:
    for method in CHANGING:
        assert status(client, method, "/flask/nothing", headers(site, origin)) == (404 if allowed else 403), method
    # GET submits a job here, as POST does; if it gets so far, it is told that its parameter is wrong.
    for method in ("GET", "HEAD"):
        assert status(client, method, "/flask/heavy?seconds=x", headers(site, origin)) == (422 if allowed else 403)


@pytest.mark.parametrize(("site", "origin", "allowed"), COMBINATIONS)
def test_everybody_may_ask(client: FlaskClient, site: str | None, origin: str | None, allowed: bool) -> None:
    for method in ASKING:
        assert status(client, method, "/flask/docs", headers(site, origin)) == 200
        assert status(client, method, "/flask/nothing", headers(site, origin)) == 404


def test_no_route_that_changes_something_is_left_out(app: APIFlask, client: FlaskClient) -> None:
    foreign = headers("cross-site", "http://evil.example")
    asked = 0
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        path = re.sub(r"<any\((\w+)[^>]*>", r"\1", path)
        path = re.sub(r"<\w+>", "x", path)
        for method in (rule.methods or set()) - set(ASKING):
            assert status(client, method, path, foreign) == 403, f"{method} {path}"
            asked += 1
    assert asked > 30


def test_the_address_that_counts_is_the_one_that_was_asked(client: FlaskClient) -> None:
    tls = {"X-Forwarded-Host": "warren.example.com", "X-Forwarded-Proto": "https"}
    for origin, expected in (("https://warren.example.com", 404), ("http://warren.example.com", 403), (ORIGIN, 403)):
        assert status(client, "POST", "/flask/nothing", tls | {"Origin": origin}) == expected


def test_a_program_is_told_in_a_document_and_a_person_on_a_page(client: FlaskClient) -> None:
    answer = client.post("/flask/heavy", headers=headers("cross-site", None))
    assert answer.content_type == "application/problem+json"
    assert "another site" in answer.text
    answer = client.get("/flask/heavy", headers=headers("cross-site", None) | {"Accept": "text/html"})
    assert answer.status_code == 403
    assert answer.content_type == "text/html; charset=utf-8"
    assert "another site" in answer.text


def test_no_other_site_is_let_in_by_cors(client: FlaskClient) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for path in ("/flask/heavy", "/flask/tasks", "/flask/events", "/flask/nothing"):
        for method in ("OPTIONS", "POST"):
            answer = client.open(path, method=method, headers=headers("cross-site", "http://evil.example") | asked)
            assert [name for name in answer.headers.keys() if name.startswith("Access-Control")] == []  # noqa: SIM118
