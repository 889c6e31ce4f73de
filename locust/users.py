"""The users: some only submit jobs, some follow them, some do all that clients do, and some watch the dashboard."""

import os
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from locust import FastHttpUser, between, constant_pacing, events, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS

from defaults import positive
from kinds import EXACT, KINDS, Kind, Params, mixed

END_STATES = ("SUCCESS", "FAILURE", "REVOKED")

#: The end of the name under which refused requests are counted.
REFUSED = " (refused)"

#: The names of the requests that give the stack a new job each.
SUBMISSIONS = frozenset(
    {"/flask/heavy", "/flask/tasks run_at", "/flask/tasks/ID/retry", *(f"/flask/tasks {kind.name}" for kind in KINDS)}
)


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Add what can be said about all users."""
    parser.add_argument(
        "--job-timeout",
        type=positive,
        default=300.0,
        metavar="SECONDS",
        help="A Poller counts a job that has not ended after so many seconds as a failure. Defaults to 300.",
    )


#: For a stack where programs need a token: ``WARREN_TOKEN=... locust/locust``.
CREDENTIALS = {"Authorization": f"Bearer {os.environ['WARREN_TOKEN']}"} if "WARREN_TOKEN" in os.environ else {}


class WarrenUser(FastHttpUser):
    """What all users can do."""

    abstract = True
    insecure = False  # as a browser does it: with TLS, only a certificate that is trusted will do
    # Warren answers everything in a few seconds, or says that it cannot.
    connection_timeout = 10.0
    network_timeout = 10.0

    def on_start(self) -> None:
        """Remove a slash at the end of the host, because every path here starts with one."""
        self.client.base_url = self.client.base_url.rstrip("/")

    def ask(self, method: str, path: str, *, expect: int = 200, name: str | None = None, **request: Any) -> Any:
        """Send a request, and return the answer, or None if its status is another one: then it is a failure.

        But 503 and 429 with a ``Retry-After`` are no failures. They are counted under a name of their own, and the user
        waits as long as it was told to.
        """
        headers = request.pop("headers", {}) | CREDENTIALS
        with self.client.request(
            method, path, name=name or path, catch_response=True, headers=headers, **request
        ) as answer:
            if answer.status_code == expect:
                return answer
            pause = told_to_wait(answer.status_code, answer.headers or {})
            if pause is not None:
                answer.request_meta["name"] += REFUSED
                answer.success()
            elif answer.status_code:  # without an answer there is no code, and Locust itself reports the error
                answer.failure(f"{answer.status_code} instead of {expect}: {str(answer.text)[:200]}")
        if pause is not None:
            time.sleep(pause * random.uniform(1, 1.25))  # not all who were refused at once come back at once
        return None

    def submit(self, kind: Kind, params: Params, key: str = "", again: str = "") -> str | None:
        """Submit a job and return its id, or None if it was not accepted.

        ``key`` is its Idempotency-Key. ``again`` goes after the name of a request that repeats another one.
        """
        answer = self.ask(
            "POST",
            "/flask/tasks",
            expect=202,
            name=f"/flask/tasks {kind.name}{again}",
            json={"task_type": kind.name, "input_params": params},
            headers={"Idempotency-Key": key} if key else {},
        )
        return None if answer is None else str(answer.json()["task_id"])

    def record(self, what: str, name: str, since: float, fault: str = "") -> None:
        """Put something that is no single request into the statistics: when it began, and what was wrong with it."""
        self.environment.events.request.fire(
            request_type=what,
            name=name,
            response_time=(time.monotonic() - since) * 1000,
            response_length=0,
            exception=RuntimeError(fault) if fault else None,
            context=self.context(),
        )


def told_to_wait(status: int, headers: Mapping[str, str]) -> int | None:
    """Return the seconds after which a refused request may come again; None if it was not refused in this way."""
    after = headers.get("Retry-After", "")
    return int(after) if status in (429, 503) and after.isdecimal() else None


class Swarm(WarrenUser):
    """Submits one heavy job per second and does not look at it again. Many such users make the queue grow."""

    weight = 4
    wait_time = constant_pacing(1)

    @task
    def submit_heavy(self) -> None:
        """Submit a job, as a browser does that opens this address."""
        self.ask("GET", "/flask/heavy", expect=202)


class Poller(WarrenUser):
    """Submits a job, asks for its status until it has ended, and checks its result.

    The row `JOB` has the time from the request to the end. An accepted job must succeed in time, with the right result.
    """

    weight = 1
    wait_time = between(1, 3)

    @task
    def submit_and_follow(self) -> None:
        """Submit a job and wait until it has ended."""
        kind = random.choice(EXACT)
        params = kind.params()
        begun = time.monotonic()
        task_id = self.submit(kind, params)
        if task_id:
            self.record("JOB", kind.name, begun, fault=self.follow(task_id, kind, params))

    def follow(self, task_id: str, kind: Kind, params: Params) -> str:
        """Wait until a job has ended. Return what is wrong with it, or nothing."""
        timeout = self.environment.parsed_options.job_timeout
        give_up = time.monotonic() + timeout
        pause = 0.2
        while time.monotonic() < give_up:
            answer = self.ask("GET", f"/flask/status?task_id={task_id}", name="/flask/status?task_id=")
            job = {"status": "unknown"} if answer is None else answer.json()
            if job["status"] in END_STATES:
                right = job["status"] == "SUCCESS" and kind.right(params, job["result"])
                return "" if right else f"{params} ended as {job['status']}: {job['result']}"
            time.sleep(pause)
            pause = min(pause * 1.5, 4)  # a job that takes long is asked for less often
        return f"a job has not ended after {timeout:g} s"


class Mix(WarrenUser):
    """Does everything that clients do, as often as they might: about one request per second."""

    wait_time = between(0.5, 1.5)
    #: The job that was submitted last.
    latest: str | None = None

    @task(70)
    def submit_any(self) -> None:
        """Submit a job of any kind."""
        kind = mixed()
        self.latest = self.submit(kind, kind.params())

    @task(10)
    def submit_twice(self) -> None:
        """Submit a job, and send the same request again, as a client does that got no answer: it is the same job."""
        kind, key = mixed(), str(uuid4())
        params = kind.params()
        first = self.submit(kind, params, key)
        second = self.submit(kind, params, key, again=" (again)") if first else None
        if second and second != first:
            self.record("JOB", kind.name, time.monotonic(), fault="a request that was sent again made a second job")

    @task(8)
    def look(self) -> None:
        """Look at the job that was submitted last."""
        if self.latest:
            self.ask("GET", f"/flask/tasks/{self.latest}", name="/flask/tasks/ID")

    @task(6)
    def list_jobs(self) -> None:
        """List jobs."""
        state = random.choice(("SUCCESS", "PENDING", "STARTED,PROGRESS"))
        self.ask("GET", f"/flask/tasks?limit=20&status={state}", name="/flask/tasks?limit=20&status=")

    @task(4)
    def change_mind(self) -> None:
        """Submit a job for later, cancel it, and then have it run after all."""
        body = {"task_type": "add", "input_params": {"a": 1, "b": 2}, "run_at": str(datetime.now(UTC) + timedelta(1))}
        later = self.ask("POST", "/flask/tasks", expect=202, name="/flask/tasks run_at", json=body)
        if later is not None:
            path = f"/flask/tasks/{later.json()['task_id']}"
            if self.ask("DELETE", path, name="/flask/tasks/ID") is not None:
                self.ask("POST", f"{path}/retry", expect=202, name="/flask/tasks/ID/retry")

    @task(2)
    def look_at_queues(self) -> None:
        """Ask how long the queues are."""
        self.ask("GET", "/flask/queues")


class Viewer(WarrenUser):
    """Opens the dashboard, and follows its stream of changes for a while.

    The row `SSE` has the time from the request for the stream to its first event.
    """

    wait_time = between(1, 3)
    network_timeout = 60.0  # a quiet stream says something every 15 s

    @task
    def watch(self) -> None:
        """Load the page, and follow what changes on it."""
        if self.ask("GET", "/flask", name="/flask (page)", headers={"Accept": "text/html"}) is None:
            return
        begun = time.monotonic()
        answer = self.ask("GET", "/flask/live", headers={"Accept-Encoding": "identity"}, stream=True)
        if answer is not None:
            with answer.stream as stream:
                self.read(stream, begun)

    def read(self, stream: Any, begun: float) -> None:
        """Read events, at most 20 per second, for 10 to 30 seconds."""
        leave = time.monotonic() + random.uniform(10, 30)
        seen = 0
        while time.monotonic() < leave:
            try:
                line = stream.readline(b"\n")
            except FAILURE_EXCEPTIONS:
                line = b""
            if not line:
                self.record("SSE", "/flask/live", begun, fault=f"the stream ended early, after {seen} events")
                return
            if line.startswith(b"event:"):
                seen += 1
                if seen == 1:
                    self.record("SSE", "/flask/live", begun)
                time.sleep(0.05)
