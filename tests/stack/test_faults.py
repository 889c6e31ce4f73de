"""Nothing accepted is lost, whatever dies meanwhile."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.stack.support import Stack, wait_until

#: Slowest answer that any client may see, whatever the broker does (seconds).
SLOWEST = 5.0


class Load:
    """Submits jobs of 0 s from several threads and keeps what it was told."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.accepted: list[str] = []
        self.refused: Counter[str] = Counter()
        self.slowest = 0.0

    def submit(self, _: int = 0) -> None:
        """Submit one job, trying again for a while when it is refused."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            started = time.monotonic()
            try:
                answer = self.stack.http.post("/flask/heavy", json={"seconds": 0})
            except httpx.TransportError as error:
                self.refused[type(error).__name__] += 1
                time.sleep(0.2)
                continue
            self.slowest = max(self.slowest, time.monotonic() - started)
            if answer.status_code == 202:
                self.accepted.append(answer.json()["task_id"])
                return
            self.refused[str(answer.status_code)] += 1
            time.sleep(0.2)

    def run(self, count: int, clients: int = 16) -> None:
        """Submit so many jobs."""
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(self.submit, range(count)))

    def states(self) -> Counter[str]:
        """Return what has become of the accepted jobs."""
        known = dict(self.stack.ledger("SELECT id, state FROM job"))
        return Counter(known.get(task_id, "LOST") for task_id in self.accepted)

    def wait_until_all_succeeded(self, timeout: float) -> None:
        """Wait until every accepted job is SUCCESS."""
        expected = {"SUCCESS": len(self.accepted)}
        wait_until(self.states, timeout, "every accepted job is SUCCESS", lambda states: states == expected)


@contextmanager
def under_load(stack: Stack, count: int) -> Iterator[Load]:
    load = Load(stack)
    thread = threading.Thread(target=load.run, args=(count,))
    thread.start()
    try:
        yield load
    finally:
        thread.join()


@pytest.mark.timeout(400)
def test_2000_jobs_while_the_worker_is_killed_twice_and_the_broker_restarted(stack: Stack) -> None:
    def accepted(count: int) -> None:
        wait_until(lambda: len(load.accepted) >= count, 60, f"{count} jobs are accepted")

    with under_load(stack, 2000) as load:
        accepted(300)
        stack.kill(stack.celery)
        accepted(800)
        stack.docker("restart", stack.rabbitmq)
        accepted(1300)
        wait_until(lambda: stack.health(stack.celery) == "healthy", 60, "the worker is back")
        stack.kill(stack.celery)
    assert len(load.accepted) == 2000
    assert not load.refused
    assert load.slowest < SLOWEST
    load.wait_until_all_succeeded(timeout=200)


def kill_the_web(stack: Stack) -> None:
    stack.kill(stack.flask)


def kill_beat(stack: Stack) -> None:
    stack.kill(stack.beat)


def kill_the_broker(stack: Stack) -> None:
    stack.kill(stack.rabbitmq)


def kill_a_pool_process(stack: Stack) -> None:
    newest = "import os; print(max(int(p) for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()))"
    pid = stack.docker("exec", stack.celery, "python", "-c", newest)
    stack.docker("exec", stack.celery, "bash", "-c", f"kill -9 {pid}")


def wipe_the_broker(stack: Stack) -> None:
    stack.docker("exec", stack.rabbitmq, "bash", "-c", "rm -rf /var/lib/rabbitmq/mnesia")
    stack.kill(stack.rabbitmq)


def renew_everything(stack: Stack) -> None:
    stack.run("./build.sh", WORKER_LEASE="9", LOG_MAX_SIZE="11m")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "fault", [kill_the_web, kill_beat, kill_the_broker, kill_a_pool_process, wipe_the_broker, renew_everything]
)
def test_no_accepted_job_is_lost(stack: Stack, fault: Callable[[Stack], None]) -> None:
    with under_load(stack, 400) as load:
        wait_until(lambda: len(load.accepted) >= 100, 60, "the load is on its way")
        fault(stack)
    assert len(load.accepted) == 400
    assert load.slowest < SLOWEST
    assert set(load.refused) <= {"503"} | ({"RemoteProtocolError"} if fault is kill_the_web else set())
    load.wait_until_all_succeeded(timeout=120)
    stack.wait_healthy()


@pytest.mark.timeout(200)
def test_jobs_are_accepted_while_the_broker_is_down_and_run_when_it_is_back(stack: Stack) -> None:
    stack.docker("stop", stack.rabbitmq)
    try:
        load = Load(stack)
        load.run(50, clients=4)
        assert not load.refused
        assert load.slowest < SLOWEST
        assert set(load.states()) == {"PENDING"}
        answer = stack.http.get("/flask/healthz/background")
        assert answer.status_code == 503
        assert answer.json()["rabbitmq"] != "ok"
        listing = stack.run("./list_queues.sh", check=False)
        assert listing.returncode != 0
        assert listing.stderr.startswith("error: ")
    finally:
        stack.docker("start", stack.rabbitmq)
    load.wait_until_all_succeeded(timeout=90)
    stack.wait_healthy()


@pytest.mark.timeout(200)
def test_a_full_backlog_is_told_with_503_and_retry_after(stack: Stack) -> None:
    stack.run("./build.sh", BACKLOG_LIMIT="20")
    stack.docker("stop", stack.celery)
    try:
        answers = [stack.http.post("/flask/heavy", json={"seconds": 0}) for _ in range(60)]
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) == {202, 503}
        # Each of the two web processes counts its own until it counts them all again, about a second later.
        assert 20 <= codes[202] <= 40
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert int(refused.headers["Retry-After"]) > 0
        assert "backlog" in refused.json()["detail"]
        accepted = [answer.json()["task_id"] for answer in answers if answer.status_code == 202]
    finally:
        stack.docker("start", stack.celery)
        stack.run("./build.sh")
    for task_id in accepted:
        stack.wait_state(task_id, "SUCCESS", timeout=60)


@pytest.mark.timeout(200)
def test_a_worker_that_is_stopped_puts_back_what_it_cannot_finish(stack: Stack) -> None:
    task_id = stack.submit_heavy(60)
    stack.wait_state(task_id, "STARTED")
    stack.docker("stop", stack.celery)
    try:
        # In time, before Docker would have killed it, and without counting against the job.
        assert stack.inspect(stack.celery)["State"]["ExitCode"] == 0
        assert stack.ledger("SELECT state, retries, deaths FROM job WHERE id = ?", task_id) == [("RETRY", 0, 0)]
    finally:
        stack.docker("start", stack.celery)
    wait_until(
        lambda: stack.http.get(f"/flask/tasks/{task_id}").json(),
        60,
        "it runs again",
        lambda job: job["state"] == "STARTED" and job["attempts"] == 2,
    )
    stack.http.delete(f"/flask/tasks/{task_id}")
    stack.wait_healthy()
