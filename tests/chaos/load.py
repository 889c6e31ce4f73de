"""The load: clients that submit jobs of mixed kinds, each with a known outcome, and keep what they were told."""

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

#: Seconds that a client waits for an answer, far longer than any may take.
CLIENT_TIMEOUT = 60.0
#: Seconds for which a client tries again when a job is refused.
PATIENCE = 240.0
#: Seconds between two tries.
PAUSE = 0.3

#: Of a hundred jobs, so many are of that kind: mostly short ones, a few that last, and those with an effect outside.
MIX = {"add": 40, "text": 28, "heavy": 20, "divide": 3, "email_sending": 5, "export": 4}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a client wants done, and what has to come of it."""

    kind: str
    parameters: dict[str, Any]
    #: The result that a SUCCESS has to have; for mails only how many.
    expected: Any
    #: Half of the clients send an Idempotency-Key, so that trying again after no answer makes no second job.
    key: str | None = None

    def fits(self, result: Any) -> bool:
        """Tell whether a SUCCESS with this result is right."""
        if self.kind == "email_sending":
            return bool(sum(result.get(outcome, 0) for outcome in ("sent", "failed", "uncertain")) == self.expected)
        if self.kind == "export":
            return bool(result["count"] == self.expected)
        return bool(result == self.expected)


def drawn(dice: random.Random, mix: dict[str, int], key: str) -> Job:
    """Draw a job."""
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
    """Jobs that are spread evenly over some seconds, and everything that the clients were answered."""

    def __init__(self, url: str, jobs: list[Job], span: float) -> None:
        self._url = url
        self._jobs = jobs
        self._span = span
        self._started = 0.0
        self._begun = 0
        self._enough = threading.Condition()
        #: The jobs that were answered 202, by the id that was answered.
        self.accepted: dict[str, Job] = {}
        #: Requests sent, tries after a refusal included.
        self.attempted = 0
        #: Answers other than 202, by status; and connections that gave no answer, by what became of them.
        self.refused: Counter[str] = Counter()
        self.no_answer: Counter[str] = Counter()
        #: Jobs that were never accepted, however often tried.
        self.given_up = 0
        #: Seconds that the slowest answer took; a connection that broke gave none.
        self.slowest = 0.0

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        """Submit while the block runs; the end of the block waits for the last answer."""
        thread = threading.Thread(target=self._run, args=(clients,))
        self._started = time.monotonic()
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def wait_for(self, number: int) -> None:
        """Wait until that many jobs have been begun."""
        with self._enough:
            self._enough.wait_for(lambda: self._begun >= number)

    def _run(self, clients: int) -> None:
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
        with (
            httpx.Client(base_url=self._url, timeout=CLIENT_TIMEOUT, limits=limits) as http,
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
