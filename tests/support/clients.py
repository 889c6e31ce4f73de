"""Clients that never stop asking, while something is done to the stack; each failed request is kept."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import httpx

from tests.support.http2 import Http2
from tests.support.stack import Stack, wait_until

#: Half of them keep their connection, the others open a new one for each request. With TLS, a quarter speak HTTP/2.
CLIENTS = 12
#: Most seconds between two requests of one client: less than the second in which an Nginx that is going to stop lets
#: its clients go.
PAUSE = 0.4


@dataclass
class Answers:
    """What the clients have got."""

    requests: int = 0
    #: What each failed request was, and how it failed.
    failed: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)

    def check(self, stack: Stack) -> None:
        """Fail unless every request was answered well, and every accepted job succeeds."""
        assert not self.failed, f"{len(self.failed)} of {self.requests} failed:\n" + "\n".join(self.failed[:20])
        assert self.requests > CLIENTS
        wait_until(lambda: self._unfinished(stack), 60, "all accepted jobs have succeeded", lambda ids: not ids)

    def _unfinished(self, stack: Stack) -> set[str]:
        done = {row[0] for row in stack.ledger("SELECT id FROM job WHERE state = 'SUCCESS'")}
        return set(self.accepted) - done


@contextmanager
def asking(stack: Stack) -> Iterator[Answers]:
    """Let the clients ask while the block runs: they submit jobs, ask for their state, and look at the front page."""
    answers, stop = Answers(), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(_ask, stack, number, answers, stop) for number in range(CLIENTS)]
        try:
            yield answers
        finally:
            stop.set()
    for one in running:
        one.result()


def _ask(stack: Stack, number: int, answers: Answers, stop: threading.Event) -> None:
    dice = Random(number)
    headers = {"Connection": "close"} if number % 2 else {}
    mine: list[str] = []
    context = stack.new_context()
    transport = Http2(context) if stack.env["TLS"] == "on" and number % 4 == 0 else httpx.HTTPTransport(verify=context)
    with stack.client(timeout=30, headers=headers, transport=transport) as http:
        while not stop.is_set():
            requests = [http.build_request("GET", "/"), http.build_request("POST", "/flask/add", json={"a": 1, "b": 2})]
            if mine:
                requests.append(http.build_request("GET", f"/flask/tasks/{mine[-1]}"))
            request = dice.choice(requests)
            answers.requests += 1
            try:
                answer = http.send(request)
            except httpx.TransportError as error:
                answers.failed.append(f"{request}: {error!r}")
            else:
                if answer.status_code == 202:
                    mine.append(answer.json()["task_id"])
                elif answer.status_code != 200:
                    answers.failed.append(f"{request}: {answer.status_code} {answer.text}")
            time.sleep(dice.uniform(0, PAUSE))
    answers.accepted += mine
