"""Malformed HTTP: each attempt is refused, or is one request. None hides a second one that Flask would serve.

In *request smuggling* two servers in a row disagree about where a request ends. The rest is then the beginning of the
next request for one of them, and passes checks that only the other one makes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest

from tests.support.raw_http import NO_STATUS, Exchange, exchange
from tests.support.stack import Stack

#: Seconds after which Nginx gives up a request of which nothing more comes (nginx.conf), and some more.
PATIENCE = 14

#: The answer to a request that the server does not understand; `closed` is the end of the connection without an answer.
CLOSED = 0
BAD = {400}
ACCEPTED = {202}
REFUSED = {400, 404, 405, 413, 414, 421, 422, 431, 501, 505}

#: How many made-up requests are sent at once.
TOGETHER = 400

PARAMETERS = b'{"a": 1, "b": 2}'


#: The request that must not be served. If Nginx sees that it is one, it answers 421, because of the host. If it passes
#: it on as a part of another one, Flask does not know better, and takes a job that keeps this id. @ID@ stands for four
#: letters, so that all lengths are right.
HIDDEN = (
    b"POST /flask/add HTTP/1.1\r\nHost: hidden.example\r\nX-Request-ID: hidden-@ID@\r\nContent-Length: 16\r\n\r\n"
    + PARAMETERS
)


@dataclass(frozen=True)
class Case:
    """An attempt, and how it may end."""

    name: str
    sent: bytes
    statuses: set[int]


def post(*lines: bytes, body: bytes = HIDDEN, target: bytes = b"/flask/add", version: bytes = b"HTTP/1.1") -> bytes:
    """Return a request to submit a job, with these lines besides those that it needs."""
    head = [b"POST " + target + b" " + version, b"Host: localhost", b"X-Request-ID: sent-@ID@", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def sized(body: bytes = PARAMETERS) -> bytes:
    return b"Content-Length: %d" % len(body)


def chunk(data: bytes, size: bytes | None = None) -> bytes:
    return (size if size is not None else b"%x" % len(data)) + b"\r\n" + data + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"

CASES = [
    # --- how long is the body? ---
    Case("two-lengths-that-differ", post(b"Content-Length: 0", b"Content-Length: 500"), BAD),
    Case("two-lengths-that-agree", post(sized(), sized(), body=PARAMETERS), BAD),
    Case("a-list-of-lengths", post(b"Content-Length: 0, 500"), BAD),
    Case("a-length-with-a-sign", post(b"Content-Length: +16", body=PARAMETERS), BAD),
    Case("a-negative-length", post(b"Content-Length: -1"), BAD),
    Case("a-length-in-hex", post(b"Content-Length: 0x10", body=PARAMETERS), BAD),
    Case("a-length-with-an-exponent", post(b"Content-Length: 1e1"), BAD),
    Case("a-length-with-a-space", post(b"Content-Length: 1 6", body=PARAMETERS), BAD),
    Case("an-empty-length", post(b"Content-Length:"), BAD),
    Case("a-length-beyond-64-bits", post(b"Content-Length: 18446744073709551632", body=PARAMETERS), BAD | {413}),
    Case("a-length-that-is-too-large", post(b"Content-Length: 1000"), {CLOSED}),
    Case("a-length-and-chunks", post(b"Content-Length: 5", CHUNKED, body=LAST + HIDDEN), BAD),
    Case("chunks-and-a-length", post(CHUNKED, b"Content-Length: 4", body=chunk(HIDDEN) + LAST), BAD),
    Case("chunks-in-http-1.0", post(CHUNKED, body=LAST + HIDDEN, version=b"HTTP/1.0"), BAD),
    # --- is it chunked? ---
    Case("xchunked", post(b"Transfer-Encoding: xchunked", sized(LAST), body=LAST + HIDDEN), BAD | {501}),
    Case("xchunked-alone", post(b"Transfer-Encoding: xchunked", body=LAST + HIDDEN), {501}),
    Case("identity-chunked", post(b"Transfer-Encoding: identity, chunked", body=LAST + HIDDEN), {501}),
    Case("chunked-identity", post(b"Transfer-Encoding: chunked, identity", body=LAST + HIDDEN), {501}),
    Case("chunked-with-a-parameter", post(b"Transfer-Encoding: chunked;q=1", body=LAST + HIDDEN), {501}),
    Case("chunked-after-a-tab", post(b"Transfer-Encoding:\tchunked", body=LAST + HIDDEN), {501}),
    Case("chunked-after-a-control", post(b"Transfer-Encoding: \x0bchunked", body=LAST + HIDDEN), {501}),
    Case("chunked-in-quotes", post(b'Transfer-Encoding: "chunked"', body=LAST + HIDDEN), {501}),
    Case("chunked-twice", post(CHUNKED, CHUNKED, body=LAST + HIDDEN), BAD),
    Case("chunked-and-identity", post(CHUNKED, b"Transfer-Encoding: identity", body=LAST + HIDDEN), BAD),
    Case("chunked-by-an-underscore", post(b"Transfer_Encoding: chunked", sized(), body=PARAMETERS), ACCEPTED),
    Case("a-length-by-an-underscore", post(b"Content_Length: 500", sized(), body=PARAMETERS), ACCEPTED),
    # --- how long is a chunk? ---
    Case("good-chunks", post(CHUNKED, body=chunk(PARAMETERS[:5]) + chunk(PARAMETERS[5:]) + LAST), ACCEPTED),
    Case("a-chunk-of-no-size", post(CHUNKED, body=chunk(PARAMETERS, b"") + LAST), BAD),
    Case("a-chunk-of-letters", post(CHUNKED, body=chunk(PARAMETERS, b"xyz") + LAST), BAD),
    Case("a-chunk-with-a-sign", post(CHUNKED, body=chunk(PARAMETERS, b"+10") + LAST), BAD),
    Case("a-negative-chunk", post(CHUNKED, body=chunk(PARAMETERS, b"-1") + LAST), BAD),
    Case("a-chunk-with-0x", post(CHUNKED, body=chunk(PARAMETERS, b"0x10") + LAST), BAD),
    Case("a-chunk-beyond-64-bits", post(CHUNKED, body=chunk(PARAMETERS, b"10000000000000010") + LAST), BAD | {413}),
    Case("a-chunk-that-is-too-short", post(CHUNKED, body=chunk(PARAMETERS, b"8") + LAST + HIDDEN), BAD),
    Case("a-chunk-that-is-too-long", post(CHUNKED, body=chunk(PARAMETERS, b"12") + LAST + HIDDEN), BAD),
    Case("a-chunk-that-never-ends", post(CHUNKED, body=chunk(PARAMETERS, b"ff")), {CLOSED}),
    Case("chunks-without-an-end", post(CHUNKED, body=chunk(PARAMETERS)), {CLOSED}),
    Case(
        "a-trailer-with-a-length", post(CHUNKED, body=chunk(PARAMETERS) + b"0\r\nContent-Length: 500\r\n\r\n"), ACCEPTED
    ),
    # --- where does a header end, and what is its name? ---
    Case("space-before-the-colon", post(b"Content-Length : 0"), BAD),
    Case("tab-before-the-colon", post(b"Transfer-Encoding\t: chunked", body=LAST + HIDDEN), BAD),
    Case("space-before-the-name", post(b" Content-Length: 0"), BAD),
    Case("no-colon", post(b"Content-Length 0"), BAD),
    Case("no-name", post(b": 0"), BAD),
    Case("a-folded-header", post(b"X-Long: one", b" two", sized(), body=PARAMETERS), BAD),
    Case("a-folded-encoding", post(b"Transfer-Encoding:", b" chunked", body=LAST + HIDDEN), BAD | {501}),
    Case("a-folded-length", post(b"Content-Length:", b"\t0"), BAD),
    Case("a-bare-cr-in-a-value", post(b"X-Long: one\rContent-Length: 0", sized(), body=PARAMETERS), BAD),
    Case("a-bare-cr-in-a-name", post(b"X-\rContent-Length: 0", sized(), body=PARAMETERS), BAD),
    Case("a-length-behind-a-bare-lf", post(b"X-Long: one\nContent-Length: 0", sized(), body=PARAMETERS), BAD),
    Case("chunks-behind-a-bare-lf", post(b"X-Long: one\nTransfer-Encoding: chunked", sized(), body=PARAMETERS), BAD),
    Case("bare-lf-everywhere", post(sized(), body=b"").replace(b"\r\n", b"\n") + PARAMETERS, ACCEPTED),
    Case("nul-in-a-value", post(b"X-Long: one\x00two", sized(), body=PARAMETERS), BAD),
    Case("nul-in-a-name", post(b"X-\x00Long: one", sized(), body=PARAMETERS), BAD),
    Case("nul-in-a-length", post(b"Content-Length: 0\x00"), BAD),
    # --- the first line ---
    Case("http-0.9", b"POST /flask/add\r\n" + PARAMETERS, {NO_STATUS}),
    Case("http-0.9-by-get", b"GET /flask/heavy\r\n", {CLOSED}),
    Case("http-0.9-and-headers", b"GET /flask/heavy\r\nHost: localhost\r\n\r\n", {CLOSED}),
    Case("http-2-without-saying-so", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), BAD | {CLOSED}),
    Case("http-9.9", post(sized(), body=PARAMETERS, version=b"HTTP/9.9"), {505}),
    Case("no-version-at-all", post(sized(), body=PARAMETERS, version=b"HTTP/"), BAD),
    Case("a-version-in-small-letters", post(sized(), body=PARAMETERS, version=b"http/1.1"), BAD),
    Case("a-word-after-the-version", post(sized(), body=PARAMETERS, version=b"HTTP/1.1 HTTP/1.0"), BAD),
    Case("nul-in-the-address", post(sized(), body=PARAMETERS, target=b"/flask/\x00add"), BAD),
    Case("nul-in-the-address-as-hex", post(sized(), body=PARAMETERS, target=b"/flask/add%00"), BAD),
    Case("a-space-in-the-address", post(sized(), body=PARAMETERS, target=b"/flask/add HTTP/1.1 x"), BAD),
    Case("a-method-in-small-letters", post(sized(), body=PARAMETERS).replace(b"POST", b"post", 1), BAD),
    Case("a-tunnel", b"CONNECT localhost:8000 HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN, {400, 405}),
    Case("tls", bytes.fromhex("160301007b010000770303") + bytes(112), BAD),
    Case("nothing-but-lines", b"\r\n" * 1000, BAD | {CLOSED}),
    # --- who is asked? ---
    Case("no-host", post(sized(), body=PARAMETERS).replace(b"Host: localhost\r\n", b""), BAD),
    Case("two-hosts", post(b"Host: localhost", sized(), body=PARAMETERS), BAD),
    Case("two-hosts-that-differ", post(b"Host: evil.example", sized(), body=PARAMETERS), BAD),
    Case("a-host-with-a-path", post(sized(), body=PARAMETERS).replace(b"localhost", b"localhost/x", 1), BAD),
    Case("a-list-of-hosts", post(sized(), body=PARAMETERS).replace(b"localhost", b"localhost, evil", 1), BAD | {421}),
    Case("another-host", post(sized(), body=PARAMETERS).replace(b"localhost", b"evil.example", 1), {421}),
    Case("another-host-in-the-address", post(sized(), body=PARAMETERS, target=b"http://evil.example/flask/add"), {421}),
    Case(
        "a-host-behind-a-name", post(sized(), body=PARAMETERS, target=b"http://localhost@evil.example/flask/add"), BAD
    ),
    Case("our-host-in-the-address", post(sized(), body=PARAMETERS, target=b"http://localhost/flask/add"), ACCEPTED),
    # --- how much? ---
    Case("a-long-address", post(sized(), body=PARAMETERS, target=b"/flask/add?" + b"x" * 9_000), {414}),
    Case("a-long-header", post(b"X-Long: " + b"x" * 9_000, sized(), body=PARAMETERS), {431}),
    Case("long-headers", post(*[b"X-Long: " + b"x" * 7_000] * 6, sized(), body=PARAMETERS), {431}),
    Case("many-headers", post(*[b"X-Many: x"] * 101, sized(), body=PARAMETERS), {431}),
    Case("a-header-without-an-end", post(body=b"").removesuffix(b"\r\n"), {CLOSED}),
    # --- what else proxies have fallen for ---
    Case("expectations", post(b"Expect: 100-continue", sized(), body=PARAMETERS), ACCEPTED),
    Case("other-expectations", post(b"Expect: evil", sized(), body=PARAMETERS), ACCEPTED | {417}),
    Case("an-upgrade", post(b"Connection: Upgrade", b"Upgrade: h2c", sized(), body=PARAMETERS), ACCEPTED),
    Case("headers-to-be-dropped", post(b"Connection: Content-Length, Host", sized(), body=PARAMETERS), ACCEPTED),
    Case("a-body-that-is-a-request", post(sized(HIDDEN), body=HIDDEN), BAD),
]


def send(stack: Stack, requests: Sequence[bytes]) -> list[Exchange]:
    return exchange(stack.port, requests, patience=PATIENCE)


def id_of(case: Case) -> str:
    return f"c{CASES.index(case):03}"


def jobs_of(stack: Stack, request_id: str) -> int:
    [(count,)] = stack.ledger("SELECT count(*) FROM job WHERE request_id = ?", request_id)
    return int(count)


@pytest.fixture(scope="module")
def outcomes(stack: Stack) -> dict[str, Exchange]:
    """Make all attempts at once, and return what became of each."""
    sent = [case.sent.replace(b"@ID@", id_of(case).encode()) for case in CASES]
    return dict(zip([case.name for case in CASES], send(stack, sent), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_attempt_is_refused_or_is_one_request(stack: Stack, outcomes: dict[str, Exchange], case: Case) -> None:
    outcome = outcomes[case.name]
    statuses = [answer.status for answer in outcome.answers] or [CLOSED]
    assert len(statuses) == 1, outcome
    assert statuses[0] in case.statuses, outcome
    assert outcome.answers or outcome.closed
    assert jobs_of(stack, f"hidden-{id_of(case)}") == 0
    assert jobs_of(stack, f"sent-{id_of(case)}") == (statuses[0] == 202)
    for answer in outcome.answers:
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert json.loads(answer.body)["status"] == answer.status


def test_flask_would_serve_what_is_hidden_and_nginx_refuses_it_when_it_sees_it(stack: Stack) -> None:
    """Otherwise the tests here could not fail."""
    program = """
import socket, sys
with socket.create_connection(("127.0.0.1", 8000)) as connection:
    connection.sendall(bytes.fromhex(sys.argv[1]))
    print(connection.recv(100))
"""
    served = HIDDEN.replace(b"@ID@", b"else").hex()
    assert "202" in stack.docker("exec", stack.flask, "python", "-c", program, served)
    assert jobs_of(stack, "hidden-else") == 1

    [outcome] = send(stack, [post(sized(), body=PARAMETERS + HIDDEN).replace(b"@ID@", b"seen")])
    assert [answer.status for answer in outcome.answers] == [202, 421]
    assert (jobs_of(stack, "sent-seen"), jobs_of(stack, "hidden-seen")) == (1, 0)


def test_what_is_inside_stays_inside_however_its_address_is_written(stack: Stack) -> None:
    paths = [
        *("/metrics", "//metrics", "/./metrics", "http://localhost/metrics"),
        *(
            "/flask/../metrics",
            "/flask/%2e%2e/metrics",
            "/flask/..%2fmetrics",
            "/flask/..;/metrics",
            "/flask/..\\metrics",
        ),
        *("/metrics/..%2fflask", "/metrics#/../flask", "/metrics%3f/../flask"),
    ]
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode() for path in paths]
    for path, outcome in zip(paths, send(stack, requests), strict=True):
        assert b"# TYPE" not in outcome.received, path
        assert [answer.status for answer in outcome.answers] == [404], path


# --- made-up requests -------------------------------------------------------------------------------------------------

FRAMING = [
    sized(),
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: 500",
    sized(HIDDEN),
    sized(chunk(HIDDEN) + LAST),
    CHUNKED,
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: close",
    b"Connection: keep-alive, Transfer-Encoding",
    b"Expect: 100-continue",
    b"Content-Type: application/json",
]
BODIES = [
    HIDDEN,
    PARAMETERS,
    PARAMETERS + HIDDEN,
    LAST + HIDDEN,
    chunk(HIDDEN) + LAST,
    chunk(PARAMETERS) + LAST,
    chunk(PARAMETERS) + LAST + HIDDEN,
    chunk(PARAMETERS, b"10;a=b") + LAST + HIDDEN,
    chunk(PARAMETERS, b"5") + LAST + HIDDEN,
    chunk(PARAMETERS) + b"0\r\nContent-Length: 5\r\n" + HIDDEN,
]
#: What is put between, or in place of, the bytes of a request.
TRICKS = [
    *(
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\r",
        b"\r\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"\r\n\t",
        b" ",
        b"\t",
        b"\x0b",
        b"\x0c",
    ),
    *(
        b"\x00",
        b"\x01",
        b"\x7f",
        b"\x85",
        b"\xa0",
        b"\xff",
        b"\xc4\x8d\xc4\x8a",
        b":",
        b";",
        b",",
        b'"',
        b"=",
        b"0",
        b"-",
        b"+",
    ),
    *(b"_", b"#", b"%0d%0a", b"%00", b"/", b"?", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"chunked", b"0\r\n\r\n"),
    *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil.example\r\n", b"GET / HTTP/1.1\r\n"),
]


def made_up(dice: Random) -> bytes:
    """Return a request that is put together at random, and spoiled in some places before the hidden one."""
    lines = dice.sample(FRAMING, dice.randint(0, 3))
    version = dice.choice([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2"])
    sent = bytearray(post(*lines, body=dice.choice(BODIES), version=version))
    for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
        # Mostly where it is said how long the body is, and there
        begin = dice.choice([0, *[sent.find(b"@ID@") + 4] * 4])
        end = sent.find(HIDDEN)
        at = dice.randrange(begin, max(begin + 1, end if end > 0 else len(sent)))
        length = dice.choice([0, 0, 0, 1, 1, 2, 8])
        sent[at : at + length] = dice.choice([*TRICKS, b"", sent[at : at + 20]])
    return bytes(sent)


def test_made_up_requests_hide_nothing_either(stack: Stack, request: pytest.FixtureRequest) -> None:
    dice = Random("warren")
    ids = [f"{number:04}" for number in range(request.config.getoption("--malformed"))]
    for start in range(0, len(ids), TOGETHER):
        names = ids[start : start + TOGETHER]
        made = [made_up(dice).replace(b"@ID@", name.encode()) for name in names]
        for name, outcome in zip(names, send(stack, made), strict=True):
            statuses = [answer.status for answer in outcome.answers]
            assert set(statuses) <= REFUSED | ACCEPTED | {NO_STATUS}, outcome
            # If Nginx takes the rest for a second request, it has seen it, and refuses it: one is served at most.
            assert statuses.count(202) <= 1, outcome
            assert jobs_of(stack, f"hidden-{name}") == 0, outcome
            assert jobs_of(stack, f"sent-{name}") <= statuses.count(202), outcome
