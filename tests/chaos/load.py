"""The load: clients that submit jobs of several kinds, with known results, and keep the answers."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.stack import Stack

#: Seconds that a client waits for an answer: far longer than any answer may take.
CLIENT_TIMEOUT = 60.0
#: Seconds for which a client tries again when its job is refused.
PATIENCE = 240.0
#: Seconds between two tries.
PAUSE = 0.3

#: How many jobs in a hundred are of each kind: mostly short jobs, some longer ones, and some with outside effects.
MIX = {"add": 40, "text": 28, "heavy": 20, "divide": 3, "email_sending": 5, "export": 4}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that a client submits, and the result it must have."""

    kind: str
    parameters: dict[str, Any]
    #: The result that a SUCCESS must have; for mails and exports only the count.
    expected: Any
    #: The Idempotency-Key, which half of the jobs have: a client that tries again then makes no second job.
    key: str | None = None

    def fits(self, result: Any) -> bool:
        """Tell whether this result of a SUCCESS is right."""
        if self.kind == "email_sending":
            return bool(sum(result.get(outcome, 0) for outcome in ("sent", "failed", "uncertain")) == self.expected)
        if self.kind == "export":
            return bool(result["count"] == self.expected)
        return bool(result == self.expected)


def drawn(dice: random.Random, mix: dict[str, int], key: str) -> Job:
    """Draw a random job; `key` is its Idempotency-Key, if it gets one."""
    [kind] = dice.choices(list(mix), list(mix.values()))
    a, b = dice.randint(0, 1000), dice.choice([1, 2, 4, 8])
    seconds = dice.choice([0, 0.05, 0.1, 0.2])
    number = dice.choice([1, 1, 2])
    kinds: dict[str, tuple[dict[str, Any], Any]] = {
        "add": ({"a": a, "b": b}, a + b),
        "text": ({"text": f"job {a}", "repeat": b}, " ".join([f"JOB {a}"] * b)),
        "heavy": ({"seconds": seconds}, f"This task took {seconds:g} seconds."),
        "divide": ({"a": a, "b": b}, a / b),
        "email_sending": ({"num_emails": number}, number),
        "export": ({"filters": {"text": "no to-do has this text"}}, 0),
    }
    parameters, expected = kinds[kind]
    return Job(kind=kind, parameters=parameters, expected=expected, key=dice.choice([None, key]))


class Load:
    """Jobs that are spread evenly over `span` seconds, and the answers that the clients got."""

    def __init__(self, stack: Stack, jobs: list[Job], span: float) -> None:
        self._stack = stack
        self._jobs = jobs
        self._span = span
        self._started = 0.0
        self._begun = 0
        self._enough = threading.Condition()
        #: The jobs that were answered 202, by the id in the answer.
        self.accepted: dict[str, Job] = {}
        #: Requests that were sent, with those that tried again.
        self.attempted = 0
        #: How many answers other than 202 there were, by status; and how many connections gave no answer, by the error.
        self.refused: Counter[str] = Counter()
        self.no_answer: Counter[str] = Counter()
        #: Jobs that were never accepted, although their clients tried again.
        self.given_up = 0
        #: Seconds that the slowest answer took. A broken connection gave no answer and does not count.
        self.slowest = 0.0

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        """Submit the jobs while the block runs. At the end of the block, wait for the last answer."""
        thread = threading.Thread(target=self._run, args=(clients,))
        self._started = time.monotonic()
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def wait_for(self, number: int) -> None:
        """Wait until clients have begun to submit that many jobs."""
        with self._enough:
            self._enough.wait_for(lambda: self._begun >= number)

    def _run(self, clients: int) -> None:
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
        with (
            self._stack.client(timeout=CLIENT_TIMEOUT, limits=limits) as http,
            ThreadPoolExecutor(clients) as pool,
        ):
            list(pool.map(lambda number: self._submit(http, number), range(len(self._jobs))))

    def _submit(self, http: httpx.Client, number: int) -> None:
        due = self._started + self._span * number / len(self._jobs)
        time.sleep(max(0.0, due - time.monotonic()))
        with self._enough:
            self._begun += 1
            self._enough.notify_all()
        job = self._jobs[number]
        until = time.monotonic() + PATIENCE
        while not self._try(http, job):
            if time.monotonic() > until:
                with self._enough:
                    self.given_up += 1
                return
            time.sleep(PAUSE)

    def _try(self, http: httpx.Client, job: Job) -> bool:
        headers = {"Idempotency-Key": job.key} if job.key else {}
        started = time.monotonic()
        answer: httpx.Response | None = None
        problem = ""
        try:
            answer = http.post(f"/flask/{job.kind}", json=job.parameters, headers=headers)
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: {error}"
        took = time.monotonic() - started
        with self._enough:
            self.attempted += 1
            if answer is None:
                self.no_answer[problem] += 1
                return False
            self.slowest = max(self.slowest, took)
            if answer.status_code == 202:
                self.accepted[answer.json()["task_id"]] = job
                return True
            self.refused[str(answer.status_code)] += 1
            return False
