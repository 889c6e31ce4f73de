"""Clients that send one byte a second: others are answered meanwhile, and the slow ones do not stay for ever."""

import httpx

from bench.slow_clients import SlowClients
from tests.support.raw_http import exchange
from tests.support.stack import Stack, wait_until

CLIENTS = 500

#: Seconds that a client may take for the head of its request, or for the next part of its body (nginx.conf).
LIMIT = 10


def test_500_slow_clients_keep_nobody_else_from_an_answer(stack: Stack) -> None:
    with SlowClients("localhost", stack.port, heads=CLIENTS // 2, bodies=CLIENTS // 2) as slow:
        while len(slow.heads_gone) < CLIENTS // 2:
            assert stack.http.post("/flask/add", json={"a": 1, "b": 2}).status_code == 202
            assert stack.http.get("/flask/queues").status_code == 200
            with httpx.Client(base_url=stack.url) as newcomer:
                assert newcomer.get("/").status_code == 200
            assert not slow.heads_gone or slow.heads_gone[-1] < 3 * LIMIT, "they are still there"
        assert min(slow.heads_gone) >= LIMIT - 1
        # A body may take its time, as long as some of it comes: it costs no thread of the application.
        assert slow.bodies_gone == []
    assert slow.answers == []


def test_a_body_of_which_nothing_more_comes_is_given_up(stack: Stack) -> None:
    head = b"POST /flask/heavy HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: half\r\nContent-Length: 1000\r\n\r\n"
    [outcome] = exchange(stack.port, [head + b'{"seconds": 0'], patience=3 * LIMIT)
    assert outcome.closed
    assert outcome.received == b""
    assert stack.ledger("SELECT count(*) FROM job WHERE request_id = 'half'") == [(0,)]
    # Nobody has heard an answer, but the log has one.
    wait_until(lambda: stack.logs(stack.nginx), 10, "it is in the log", lambda log: '"request_id":"half"' in log)
    [line] = [line for line in stack.logs(stack.nginx).splitlines() if '"request_id":"half"' in line]
    assert '"status":408' in line


def test_large_bodies_that_do_not_end_cannot_use_up_the_memory(stack: Stack) -> None:
    """Each may have 1 MB, and Nginx keeps all of it until the end has come."""
    before = stack.inspect(stack.nginx)["State"]["StartedAt"]
    head = b"POST /flask/text HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    outcomes = exchange(stack.port, [head + b"x" * 990_000] * 150, patience=3 * LIMIT)
    statuses = {answer.status for outcome in outcomes for answer in outcome.answers}
    assert statuses <= {503}
    assert all(outcome.closed for outcome in outcomes)
    assert stack.http.post("/flask/add", json={"a": 1, "b": 2}).status_code == 202
    state = stack.inspect(stack.nginx)["State"]
    assert (state["StartedAt"], state["OOMKilled"]) == (before, False)
    body = b'{"text": "' + b"x" * 900_000 + b'"}'
    assert stack.http.post("/flask/text", content=body).status_code == 422  # too long for a text, and here as a whole
