"""Pages of other web sites change nothing, and get no answer under a name that is not ours."""

from collections.abc import Iterator

import pytest

from tests.support.raw_http import exchange
from tests.support.stack import Stack, run

#: Names under which every stack on loopback is asked.
OURS = ["localhost", "LOCALHOST", "localhost:1", "127.0.0.1", "127.0.0.1:8000", "127.1.2.3", "[::1]", "[::1]:8000"]
FOREIGN = [
    *(
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.localhost",
        "xlocalhost",
        "example.com",
    ),
    *("10.0.0.1", "128.0.0.1", "0.0.0.0", "[::2]", "2130706433", "_", "a.warren.example.com"),
]


def jobs(stack: Stack) -> int:
    [(count,)] = stack.ledger("SELECT count(*) FROM job")
    return int(count)


# --- who sends a request ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        # What says under which name we were asked is what Nginx says, not a client.
        {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"},
        {"Origin": "http://evil.example", "Forwarded": "host=evil.example"},
    ],
)
def test_what_a_page_of_another_site_sends_changes_nothing(stack: Stack, said: dict[str, str]) -> None:
    before = jobs(stack)
    answers = [
        stack.http.post("/flask/email_sending", content="{}", headers=said | {"Content-Type": "text/plain"}),
        stack.http.post("/flask/tasks", json={"task_type": "heavy"}, headers=said),
        stack.http.post("/flask/api/tasks/submit", json={"task_type": "heavy"}, headers=said),
        stack.http.post("/flask/ui/submit/heavy", data={"seconds": "0"}, headers=said),
        stack.http.delete("/flask/tasks/unknown", headers=said),
    ]
    if "Sec-Fetch-Site" in said:
        answers.append(stack.http.get("/flask/heavy", headers=said))
    for answer in answers:
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "another site" in answer.json()["detail"]
    assert jobs(stack) == before
    assert stack.http.get("/flask/tasks", headers=said).status_code == 200


def test_our_own_pages_people_and_programs_are_let_in(stack: Stack) -> None:
    port = stack.port
    for said in (
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": f"http://localhost:{port}"},
        {"Origin": f"http://localhost:{port}"},
        {"Origin": f"http://127.0.0.1:{port}", "Host": f"127.0.0.1:{port}"},
        {"Origin": f"http://[::1]:{port}", "Host": f"[::1]:{port}"},
    ):
        assert stack.http.post("/flask/heavy", json={"seconds": 0}, headers=said).status_code == 202, said
        assert stack.http.get("/flask/heavy?seconds=0", headers=said).status_code == 202, said


def test_no_other_site_may_read_an_answer_or_show_it(stack: Stack) -> None:
    for path in ("/", "/flask/tasks", "/flask/openapi.json", "/flask/nothing", "/docs/security.md"):
        answer = stack.http.get(path, headers={"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


# --- under which name -------------------------------------------------------------------------------------------------


def statuses(stack: Stack, host: str) -> set[int]:
    """Return how some addresses answer somebody who asks for that name."""
    paths = (
        "/",
        "/index.html",
        "/docs/tour.md",
        "/proxy-health",
        "/flask",
        "/flask/tasks",
        "/flask/heavy?seconds=0",
        "/flower/",
    )
    return {stack.http.get(path, headers={"Host": host}).status_code for path in paths}


@pytest.mark.parametrize("host", OURS)
def test_a_name_of_ours_is_answered(stack: Stack, host: str) -> None:
    assert 421 not in statuses(stack, host)


@pytest.mark.parametrize("host", FOREIGN)
def test_another_name_is_not_answered(stack: Stack, host: str) -> None:
    before = jobs(stack)
    assert statuses(stack, host) == {421}
    answer = stack.http.post("/flask/heavy", json={"seconds": 0}, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json()["title"], answer.json()["status"]) == ("Misdirected Request", 421)
    assert "HOSTS" in answer.json()["detail"]
    assert jobs(stack) == before


def test_who_has_no_name_to_ask_for_is_answered(stack: Stack) -> None:
    [outcome] = exchange(stack.port, [b"GET /flask/healthz HTTP/1.0\r\n\r\n"], patience=5)
    assert [answer.status for answer in outcome.answers] == [200]


@pytest.fixture
def normal_afterwards(stack: Stack) -> Iterator[None]:
    yield
    stack.run("./build.sh")


def test_more_names_come_from_a_setting(stack: Stack, normal_afterwards: None) -> None:
    stack.run("./build.sh", HOSTS="warren.example.com,Jobs.example.com,localhost")
    for host in (*OURS, "warren.example.com", "JOBS.Example.com:8443"):
        assert 421 not in statuses(stack, host), host
    for host in FOREIGN:
        assert statuses(stack, host) == {421}, host
    said = {"Host": "warren.example.com", "Origin": "http://warren.example.com"}
    assert stack.http.post("/flask/heavy", json={"seconds": 0}, headers=said).status_code == 202

    # As with BIND_ADDRESS=0.0.0.0: which addresses lead here nobody knows, so any may be asked for.
    stack.run("./build.sh", HOSTS="0.0.0.0")
    for host in (*OURS, "10.0.0.1", "192.0.2.7:8000", "[2001:db8::7]"):
        assert 421 not in statuses(stack, host), host
    for host in ("evil.example", "192.0.2.7.evil.example", "warren.example.com", "a10.0.0.1"):
        assert statuses(stack, host) == {421}, host


@pytest.mark.parametrize(
    "hosts", ["http://warren.example.com", "warren:8000", "a b", "a,,b", "a/", "-a", '"', "a;b", "*"]
)
def test_a_list_of_names_that_is_none_is_refused(stack: Stack, hosts: str) -> None:
    refused = stack.run("./build.sh", check=False, HOSTS=hosts)
    assert refused.returncode == 1
    error, empty, remedy = refused.stderr.splitlines()
    assert error == f"error: HOSTS={hosts} is not a list of names"
    assert (empty, remedy[:6]) == ("", "Write ")


@pytest.mark.parametrize(
    ("address", "limits", "names"),
    [
        ("127.0.0.1", "0 0", {"a.example"}),
        ("127.0.0.9", "0 0", {"a.example"}),
        ("192.0.2.7", "100 100", {"a.example", "192.0.2.7"}),
        ("0.0.0.0", "100 100", {"a.example", "0.0.0.0"}),
    ],
)
def test_what_follows_from_the_address(address: str, limits: str, names: set[str]) -> None:
    """Beyond loopback there are limits, and more names; those of the machine, if all its addresses are open."""
    program = (
        "source settings.sh; source ops/lib.sh; source ops/containers.sh; "
        'echo "$CLIENT_REQUESTS $CLIENT_CONNECTIONS"; own_names'
    )
    done = run(["bash", "-ec", program], env={"BIND_ADDRESS": address, "HOSTS": "A.example, localhost"})
    given, found = done.stdout.splitlines()
    assert given == limits
    assert names <= set(found.split())
    assert "localhost" not in found.split()
    if address == "0.0.0.0":
        assert run(["hostname"]).stdout.strip().lower() in found.split()
    else:
        assert set(found.split()) == names
