"""A client that submits jobs and asks for their results, over kept connections."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

BODY = '{"a": 2, "b": 3}'
#: The name that everybody asks for. By the address of its container Warren would not answer.
HOST = "localhost"
_HEAD = {"Host": HOST, "Content-Type": "application/json"}


class Client:
    """One connection to a stack's Nginx."""

    def __init__(self, address: str, timeout: float = 10) -> None:
        self._connection = http.client.HTTPConnection(address, 8080, timeout=timeout)

    def submit(self, kind: str = "add", body: str = BODY) -> str:
        """Submit a job and return its id; raise :class:`OSError` if it was not accepted."""
        return str(self._ask("POST", f"/flask/{kind}", body, 202)["task_id"])

    def done(self, task_id: str) -> bool:
        """Tell whether a job has its result."""
        return self._ask("GET", f"/flask/status?task_id={task_id}", None, 200)["status"] == "SUCCESS"

    def get(self, path: str) -> bytes:
        """Return the body of a page."""
        self._connection.request("GET", path, headers={"Host": HOST, "Accept": "application/json"})
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise OSError(f"GET {path}: {answer.status}")
        return answer.read()

    def _ask(self, method: str, path: str, body: str | None, expected: int) -> dict[str, object]:
        try:
            self._connection.request(method, path, body, _HEAD)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens a new one
            raise OSError(f"{method} {path}: no answer") from error
        if answer.status != expected:
            raise OSError(f"{method} {path}: {answer.status}")
        return dict(json.loads(text))


def submit_many(address: str, count: int, kind: str = "add", body: str = BODY, connections: int = 8) -> None:
    """Submit so many jobs; all of them must be accepted."""

    def some(number: int) -> None:
        client = Client(address)
        for _ in range(number, count, connections):
            client.submit(kind, body)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(some, range(connections)))


def wait_for_answer(address: str, patience: float = 60) -> None:
    """Wait until jobs are accepted (again)."""
    until = time.monotonic() + patience
    while True:
        with suppress(OSError):
            Client(address).submit()
            return
        if time.monotonic() > until:
            raise SystemExit(f"error: no job was accepted for {patience:g} s")
        time.sleep(0.1)


class Stream(threading.Thread):
    """Submits jobs in the background, `rate` per second or as fast as one connection can, until it is stopped.

    `accepted` holds the ids of the jobs that were answered 202, and `refused` the number of other answers.
    """

    def __init__(self, address: str, rate: float | None = None) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.refused = 0
        self._client = Client(address)
        self._rate = rate
        self._stopping = threading.Event()

    def run(self) -> None:
        """Submit."""
        due = time.monotonic()
        while not self._stopping.is_set():
            try:
                self.accepted.append(self._client.submit())
            except OSError:
                self.refused += 1
                time.sleep(0.05)
            if self._rate:
                due = max(due + 1 / self._rate, time.monotonic() - 1)
                time.sleep(max(0, due - time.monotonic()))

    def stop(self) -> None:
        """Stop, and wait for the last answer."""
        self._stopping.set()
        self.join()
