"""Where people have to log in: who gets in, who may do what, and that it is written down."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from tests.stack.test_scripts import container_ids
from tests.support import leaks
from tests.support.routes import OF_NGINX, documented
from tests.support.schemathesis import drive
from tests.support.stack import PREFIX, Stack, wait_until

ROLES = ("nobody", "viewer", "operator", "admin")
COOKIE = "__Host-warren"
#: Nobody and no job is called so.
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def built(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """Return a stack with login, and what the first build.sh said."""
    stack = Stack(f"{PREFIX}_auth", tmp_path_factory.mktemp("auth"))
    stack.env["AUTH"] = "on"
    stack.clear()
    try:
        said = stack.run("./build.sh", timeout=900).stdout
        yield stack, said
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def closed(built: tuple[Stack, str]) -> Stack:
    """Return the stack, which a program may use that has a token of an operator."""
    stack = built[0]
    stack.let_in()
    return stack


@pytest.fixture(scope="module")
def tokens(closed: Stack) -> dict[str, str]:
    """Return a token of each role."""
    return {role: token(closed, role, role) for role in ROLES[1:]}


def token(stack: Stack, role: str, name: str, *more: str) -> str:
    return stack.run("ops/tokens.sh", "add", name, "--role", role, *more).stdout.strip()


def password_of(shown: str) -> str:
    found = re.search(r"password: (\S+)", shown)
    assert found, shown
    return found[1]


@contextmanager
def browser(stack: Stack) -> Iterator[httpx.Client]:
    """A client that asks for pages and keeps cookies, as a browser does on localhost."""
    with httpx.Client(base_url=stack.url, headers={"Accept": "text/html"}, timeout=30) as client:
        yield client


def send(client: httpx.Client, page: str, action: str, **fields: str) -> httpx.Response:
    """Send a form of a page, with the token that is in it."""
    return send_open(client, open_form(client, page), action, **fields)


def open_form(client: httpx.Client, page: str) -> str:
    """Look at a page with a form, and return the token in it."""
    shown = client.get(page)
    _keep_cookie(client, shown)
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
    assert csrf, shown.text
    return csrf[1]


def send_open(client: httpx.Client, csrf: str, action: str, **fields: str) -> httpx.Response:
    """Send a form of a page that was looked at before."""
    answer = client.post(action, data={"csrf_token": csrf, **fields})
    _keep_cookie(client, answer)
    return answer


def _keep_cookie(client: httpx.Client, answer: httpx.Response) -> None:
    """Keep a cookie that is marked Secure: browsers do on localhost, this client does not."""
    for header in answer.headers.get_list("Set-Cookie"):
        name, _, value = header.partition(";")[0].partition("=")
        client.headers["Cookie"] = f"{name}={value}"


def log_in(client: httpx.Client, name: str, password: str) -> httpx.Response:
    return send(client, "/flask/login", "/flask/login", name=name, password=password)


def add_person(stack: Stack, name: str, role: str = "viewer") -> str:
    return password_of(stack.run("ops/users.sh", "add", name, "--role", role).stdout)


# --- roles and routes -------------------------------------------------------------------------------------------------


def test_each_route_lets_in_whom_the_table_says_and_nobody_else(closed: Stack, tokens: dict[str, str]) -> None:
    expired = token(closed, "admin", "expired", "--days", "0.00001")
    wait_until(lambda: ask(closed, "GET /flask/tasks", expired).status_code == 401, 10, "the token has expired")
    for tool in ("flower", "prometheus", "rabbitmq"):  # as if they were on: it is the door that counts
        (closed.secrets / "tools" / tool).write_text("administrators\n")
    credentials = [("nobody", None), ("nobody", expired), ("nobody", "warren_made_up"), *tokens.items()]

    wrong = []
    for route, needed in documented().items():
        for role, shown in credentials:
            answer = ask(closed, route, shown)
            refused = answer.status_code == 401 or "needs the role" in answer.text or "403 Forbidden" in answer.text
            if refused == (ROLES.index(role) >= ROLES.index(needed)):
                wrong.append(f"{route} as {role}: {answer.status_code} {answer.text[:80]}")
            assert answer.status_code < 500 or route in OF_NGINX, answer.text
    assert wrong == []


def ask(stack: Stack, route: str, shown: str | None) -> httpx.Response:
    """Ask for a route with a token or without, and with parameters that lead nowhere."""
    method, path = route.split(" ", 1)
    path = path.replace("<kind of job>", "add").replace("<todo_id>", "9999999").replace("<action>", "pause")
    path = re.sub("<[^>]+>", UNKNOWN, path)
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    with (
        httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client,
        client.stream(method, path, json={} if method != "GET" else None) as answer,
    ):
        if "event-stream" in answer.headers.get("Content-Type", ""):
            answer._content = b""  # it has no end
        else:
            answer.read()
    return answer


def test_whoever_has_no_credentials_is_told_what_to_do(closed: Stack) -> None:
    with browser(closed) as client:
        led = client.get("/flask/todos?cursor=abc")
        assert (led.status_code, led.headers["Location"]) == (303, "/flask/login?next=%2Fflask%2Ftodos%3Fcursor%3Dabc")
    answer = httpx.post(f"{closed.url}/flask/add", json={"a": 1, "b": 2})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"


# --- people -----------------------------------------------------------------------------------------------------------


def test_build_shows_the_first_password_once(built: tuple[Stack, str]) -> None:
    stack, said = built
    with browser(stack) as client:
        assert log_in(client, "admin", password_of(said)).status_code == 303
        assert client.get("/flask/admin").status_code == 200
    again = stack.run("./build.sh", timeout=300).stdout
    assert "password" not in again


def test_a_person_logs_in_works_and_logs_out(closed: Stack) -> None:
    password = add_person(closed, "ann", "operator")
    with browser(closed) as client:
        shown = client.get("/flask/login?next=/flask/todos")
        cookie = shown.headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        answer = send(
            client, "/flask/login?next=/flask/todos", "/flask/login?next=/flask/todos", name="ann", password=password
        )
        assert (answer.status_code, answer.headers["Location"]) == (303, "/flask/todos")

        assert client.post("/flask/ui/todos", data={"text": "without the token of the form"}).status_code == 403
        assert client.post("/flask/todos", json={"text": "nor for programs"}).status_code == 403
        assert send(client, "/flask/todos", "/flask/ui/todos", text="with it").status_code == 303
        texts = [todo["text"] for todo in closed.walk("/flask/todos")]
        assert texts == ["with it"]

        assert send(client, "/flask/todos", "/flask/logout").status_code == 303
        assert client.get("/flask/todos").status_code == 303


@pytest.mark.parametrize("there", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_the_login_leads_to_no_other_site(closed: Stack, there: str) -> None:
    name = f"led{abs(hash(there)) % 1000}"
    password = add_person(closed, name)
    with browser(closed) as client:
        path = str(httpx.URL("/flask/login", params={"next": there}))
        assert send(client, path, path, name=name, password=password).headers["Location"] == "/flask"


def test_logging_out_everywhere_ends_all_sessions(closed: Stack) -> None:
    password = add_person(closed, "ben")
    with browser(closed) as here, browser(closed) as there:
        for client in (here, there):
            assert log_in(client, "ben", password).status_code == 303
            assert client.get("/flask").status_code == 200
        send(here, "/flask/account", "/flask/logout/everywhere")
        wait_until(lambda: there.get("/flask").status_code == 303, 5, "the other session has ended")


def test_with_another_password_the_old_one_and_other_sessions_have_ended(closed: Stack) -> None:
    password = add_person(closed, "cora")
    with browser(closed) as here, browser(closed) as there:
        for client in (here, there):
            log_in(client, "cora", password)
        short = send(here, "/flask/account", "/flask/account", password=password, new="short")
        assert short.status_code == 422
        assert "12 to 1024 characters" in short.text
        changed = send(here, "/flask/account", "/flask/account", password=password, new="a long enough one")
        assert changed.status_code == 303
        wait_until(lambda: there.get("/flask").status_code == 303, 5, "the other session has ended")
        assert here.get("/flask").status_code == 200
        assert log_in(there, "cora", password).status_code == 401
        assert log_in(there, "cora", "a long enough one").status_code == 303


def test_a_session_ends_after_its_time(closed: Stack) -> None:
    add_person(closed, "dora")
    [(stamp,)] = closed.ledger("SELECT stamp FROM account WHERE name = 'dora'")
    app = Flask(__name__)
    app.secret_key = (closed.secrets / "session_keys").read_text().split()[0]
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer is not None
    for age, status in ((43_100, 200), (43_300, 401)):
        cookie = signer.dumps({"account": "dora", "stamp": stamp, "since": time.time() - age})
        assert httpx.get(f"{closed.url}/flask/tasks", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == status


def test_no_password_token_or_key_stands_where_it_can_be_read(closed: Stack, tokens: dict[str, str]) -> None:
    known = leaks.secrets_in(closed.secrets) | tokens | {"password": add_person(closed, "ivy")}
    assert any(name.startswith("session_keys") for name in known)
    with browser(closed) as client:
        assert log_in(client, "ivy", known["password"]).status_code == 303
        known["session"] = client.headers["Cookie"].partition("=")[2]
        assert client.get("/flask").status_code == 200
    for role in tokens:
        assert ask(closed, "GET /flask/tasks", tokens[role]).status_code == 200
    search = leaks.Search(known)
    for look in (leaks.of_containers, leaks.of_processes, leaks.of_logs, leaks.of_ledger):
        assert search.text(look(closed)) == set(), look


def test_who_is_logged_in_stays_so_when_the_key_is_renewed_once_and_not_when_it_is_stolen(closed: Stack) -> None:
    password = add_person(closed, "hugo", "operator")
    with browser(closed) as client:
        log_in(client, "hugo", password)
        form = open_form(client, "/flask/todos")
        containers = container_ids(closed)
        closed.run("ops/rotate_secrets.sh", "session_keys")
        assert client.get("/flask").status_code == 200
        assert send_open(client, form, "/flask/ui/todos", text="Find this again").status_code == 303
        after = container_ids(closed)
        assert {name for name in containers if after[name] != containers[name]} == {closed.flask}
        with browser(closed) as another:
            assert log_in(another, "hugo", password).status_code == 303
            closed.run("ops/rotate_secrets.sh", "session_keys")
            assert another.get("/flask").status_code == 200
            assert client.get("/flask").status_code == 303
    keys = (closed.secrets / "session_keys").read_text().split()
    assert len(keys) == 2
    shown = closed.docker("inspect", *closed.containers()) + closed.logs(closed.flask)
    assert not [key for key in keys if key in shown]


def test_wrong_passwords_slow_down_the_next_try(closed: Stack) -> None:
    password = add_person(closed, "eve")
    with browser(closed) as client:
        answers = [log_in(client, "eve", "wrong") for _ in range(7)]
        codes = [answer.status_code for answer in answers]
        assert codes[:4] == [401] * 4
        assert codes[-1] == 429
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 8
        assert re.search(r"Try again in \d s\.", answers[-1].text)
        assert 'name="password"' in answers[-1].text
        assert log_in(client, "eve", password).status_code == 429, "not even with the right one"
        wait_until(lambda: log_in(client, "eve", password).status_code == 303, 30, "she may try again", interval=1)


def test_who_is_removed_is_out_and_the_last_administrator_stays(closed: Stack) -> None:
    password = add_person(closed, "finn", "admin")
    with browser(closed) as client:
        log_in(client, "finn", password)
        refused = send(client, "/flask/admin", "/flask/admin/people/nobody/remove")
        assert refused.status_code == 422
        added = send(client, "/flask/admin", "/flask/admin/people", name="gus", role="operator")
        assert added.status_code == 200
        assert "gus may log in now, with the password" in added.text
        made = send(client, "/flask/admin", "/flask/admin/tokens", name="of-gus", role="viewer", days="2")
        found = re.search(r"warren_[\w-]+", made.text)
        assert found
        assert ask(closed, "GET /flask/tasks", found[0]).status_code == 200
        send(client, "/flask/admin", "/flask/admin/people/admin/remove")
        only = send(client, "/flask/admin", "/flask/admin/people/finn/remove")
        assert "the only administrator" in only.text
        closed.run("ops/users.sh", "add", "second", "--role", "admin")
        closed.run("ops/users.sh", "revoke", "finn")
        wait_until(lambda: client.get("/flask/admin").status_code == 303, 5, "finn is out")
    refused_again = closed.run("ops/users.sh", "add", "Not A Name", check=False)
    assert refused_again.returncode == 1
    assert "A name has" in refused_again.stderr


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_token_works_until_it_is_revoked_and_so_do_its_streams(closed: Stack) -> None:
    shown = token(closed, "viewer", "short-lived")
    assert re.fullmatch(r"warren_[\w-]{43}", shown)
    with httpx.Client(base_url=closed.url, headers={"Authorization": f"Bearer {shown}"}, timeout=30) as client:
        with client.stream("GET", "/flask/events") as stream:
            assert stream.status_code == 200
            closed.run("ops/tokens.sh", "revoke", "short-lived")
            for _ in stream.iter_bytes():
                pass  # it ends, and does so before the time limit of the client
        wait_until(lambda: client.get("/flask/tasks").status_code == 401, 5, "the token is out")


def test_the_list_of_tokens_says_when_each_was_used_and_the_ledger_has_none_of_them(
    closed: Stack, tokens: dict[str, str]
) -> None:
    ask(closed, "GET /flask/tasks", tokens["viewer"])
    lines = closed.run("ops/tokens.sh", "list").stdout.splitlines()
    [line] = [line for line in lines if line.startswith("viewer ")]
    assert re.search(r"never +\d{4}-\d\d-\d\d", line)
    for shown in tokens.values():
        assert shown.encode() not in (closed.db / "backend.db").read_bytes()
        assert shown.encode() not in (closed.db / "backend.db-wal").read_bytes()


def test_the_document_says_that_a_token_is_needed(closed: Stack) -> None:
    document = closed.http.get("/flask/openapi.json").json()
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert document["paths"]["/flask/tasks"]["get"]["security"] == [{"token": []}]
    assert "security" not in document["paths"]["/flask/healthz"]["get"]


@pytest.mark.timeout(0)  # the subprocess has its own
@pytest.mark.parametrize("role", ROLES)
def test_schemathesis_finds_nothing_with_any_role(
    closed: Stack, tokens: dict[str, str], role: str, tmp_path: Path
) -> None:
    # What can be wrong with a request, one thing after the other, is the same for all: one of them is enough.
    phases = "coverage,fuzzing" if role == "admin" else "fuzzing"
    drive(closed, 3, tmp_path, token=tokens.get(role), phases=phases)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_token_that_has_submitted_enough_is_told_when_to_come_back(closed: Stack) -> None:
    closed.run("./build.sh", TOKEN_SUBMISSIONS="3")
    try:
        shop = {"Authorization": f"Bearer {token(closed, 'operator', 'shop')}"}
        jobs = [{"task_type": "add", "input_params": {"a": 1, "b": 2}}] * 2
        told = []
        for _ in range(2):
            answer = httpx.post(f"{closed.url}/flask/tasks/batch", json={"jobs": jobs}, headers=shop)
            told.append((answer.status_code, answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]))
        assert told == [(202, "3", "1"), (429, "3", "1")]
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["RateLimit-Reset"] == answer.headers["Retry-After"]
        others = httpx.get(f"{closed.url}/flask/tasks", headers=shop)
        assert others.status_code == 200
        assert "RateLimit-Limit" not in others.headers
        closed.submit("add", a=1, b=2)  # another token
    finally:
        closed.run("./build.sh")


# --- the audit --------------------------------------------------------------------------------------------------------


def test_what_was_done_is_written_down_with_the_change(closed: Stack, tokens: dict[str, str]) -> None:
    job = closed.submit("heavy", seconds=60)
    assert closed.http.delete(f"/flask/tasks/{job}").status_code == 200
    assert closed.http.delete(f"/flask/tasks/{job}").status_code == 409
    again = closed.http.post(f"/flask/tasks/{job}/retry").json()["task_id"]
    closed.http.delete(f"/flask/tasks/{again}")
    closed.http.post("/flask/queues/export/pause")
    closed.http.post("/flask/queues/export/resume")
    ask(closed, "POST /flask/add", tokens["viewer"])

    admin = {"Authorization": f"Bearer {tokens['admin']}"}
    told = httpx.get(f"{closed.url}/flask/audit", params={"subject": job}, headers=admin).json()["data"]
    assert [(entry["who"], entry["action"], entry["outcome"]) for entry in reversed(told)] == [
        ("token test", "submit", "done"),
        ("token test", "cancel", "done"),
        ("token test", "cancel", "refused"),
        ("token test", "retry", "done"),
    ]
    assert told[0]["detail"] == f"As {again}."
    assert told[0]["role"] == "operator"
    assert re.fullmatch(r"[\d.]+", told[0]["address"])
    for each in (job, again):
        assert closed.http.get(f"/flask/tasks/{each}").json()["submitted_by"] == "token test"
    page = httpx.get(f"{closed.url}/flask/tasks/{job}", headers=admin | {"Accept": "text/html"}).text
    assert "Cancelled by" in page
    assert "Run again by" in page

    lines = httpx.get(f"{closed.url}/flask/audit.jsonl", headers=admin).text.splitlines()
    actions = [(entry["action"], entry["subject"], entry["outcome"]) for entry in map(json.loads, lines)]
    for wanted in (("pause", "export", "done"), ("resume", "export", "done"), ("post", "/flask/add", "refused")):
        assert wanted in actions
    assert not re.search(r"warren_[\w-]{43}", "".join(lines))  # no token
