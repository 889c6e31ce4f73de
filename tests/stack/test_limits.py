"""How much one client may ask for: beyond that it is told to wait, and others are not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.support.stack import Stack, run, wait_until

REQUESTS = 5
CONNECTIONS = 8


def test_without_limits_nobody_is_refused(stack: Stack) -> None:
    """The stack is on loopback, where all clients have one address. This test comes before there are limits."""
    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(lambda _: stack.http.get("/flask/healthz").status_code, range(500)))
    assert statuses == {200}


@pytest.fixture(scope="module")
def limited(stack: Stack) -> Iterator[Stack]:
    """Limit every client, for the length of this file."""
    stack.run("./build.sh", CLIENT_REQUESTS=str(REQUESTS), CLIENT_CONNECTIONS=str(CONNECTIONS))
    yield stack
    stack.run("./build.sh")


def check_refusal(answer: httpx.Response) -> None:
    assert answer.status_code == 429
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json()["title"], answer.json()["status"]) == ("Too Many Requests", 429)
    assert answer.headers["Retry-After"] == "1"


def test_too_many_requests_are_refused_until_there_is_room_again(limited: Stack) -> None:
    def ask(_number: int) -> httpx.Response:
        return limited.http.get("/flask/healthz")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(20 * REQUESTS)))
    good = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(good) > REQUESTS  # a client may be in a hurry for a moment
    assert refused
    for answer in refused:
        check_refusal(answer)
        told = {name: answer.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")}
        assert told == {"Limit": str(REQUESTS), "Remaining": "0", "Reset": "1"}
    for answer in good:
        assert not [name for name in answer.headers if name.startswith("ratelimit-")]
    wait_until(lambda: ask(0).status_code, 10, "there is room again", lambda status: status == 200)


def test_too_many_requests_at_a_time_are_refused_until_one_has_ended(limited: Stack) -> None:
    def asked() -> httpx.Response:
        """Return an answer that is not about requests per second."""
        return wait_until(
            lambda: limited.http.get("/flask/healthz"), 20, "it counts", lambda it: "RateLimit-Limit" not in it.headers
        )

    with ExitStack() as streams:

        def follow() -> httpx.Response:
            return streams.enter_context(limited.http.stream("GET", "/flask/events"))

        def opened() -> httpx.Response:
            return wait_until(follow, 20, "a stream is open", lambda stream: stream.status_code == 200)

        first, *_others = [opened() for _ in range(CONNECTIONS)]
        check_refusal(asked())
        first.close()
        wait_until(lambda: asked().status_code, 20, "it has ended", lambda status: status == 200)


@pytest.mark.parametrize("setting", ["CLIENT_REQUESTS", "CLIENT_CONNECTIONS"])
@pytest.mark.parametrize("value", ["-1", "many", "1.5", "1000000", "01"])
def test_a_limit_that_is_none_is_refused(stack: Stack, setting: str, value: str) -> None:
    refused = run(["./build.sh"], env=stack.env | {setting: value}, check=False)
    assert refused.returncode == 1
    error, empty, remedy = refused.stderr.splitlines()
    assert error == f"error: {setting}={value} is not a number from 0 to 999999"
    assert (empty, remedy) == ("", f"Correct {setting}, or unset it; 0 is no limit.")
