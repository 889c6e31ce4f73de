"""The stack under test: the real containers, built and started by the project's own scripts."""

import csv
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.project import ROOT
from tests.support.soundness import faults, unsound_jobs

T = TypeVar("T")

#: Names the stack under test. Runs with different prefixes go side by side, and so do the processes of one run.
PREFIX = "_".join(
    filter(None, (os.environ.get("WARREN_TEST_PREFIX", "warren_test"), os.environ.get("PYTEST_XDIST_WORKER")))
)

END_STATES = {"SUCCESS", "FAILURE", "REVOKED"}

# A cold build on two cores is to take at most 150 s; where it takes longer, the test of that says so, not this limit.
BUILD_TIMEOUT = 900
#: Seconds in which a stack that is well takes a job.
SUBMIT_TIMEOUT = 30


class Stack:
    """A running stack of its own: another prefix, port, database and secrets than anything else on the machine."""

    def __init__(self, prefix: str, folder: Path, *, root: Path = ROOT, tls: bool = False) -> None:
        """Describe a stack that keeps its files in `folder` and whose scripts are in `root`; `build` starts it."""
        self.prefix = prefix
        self.root = root
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.db = folder / "db"
        self.secrets = folder / "secrets" / prefix
        #: What the project's scripts have to be told to mean this stack.
        self.env: dict[str, str] = {
            "PREFIX": prefix,
            "PORT": str(self.port),
            "DB_DIR": str(self.db),
            "SECRETS_DIR": str(self.secrets),
            # A worker that is stopped puts its jobs back 10 s before this; with the default of 30 tests would wait.
            "STOP_TIMEOUT": "20",
            "TLS": "on" if tls else "off",
        }
        #: The certificate of the stack's own authority, and whom its clients trust: `build` adds this one.
        self.authority = self.secrets / "authority.pem"
        self.trust = ssl.create_default_context()
        self.port_container = f"{prefix}_port_container"
        self.nginx = f"{prefix}_nginx_container"
        self.flask = f"{prefix}_flask_container"
        self.rabbitmq = f"{prefix}_rabbitmq_container"
        self.postgres = f"{prefix}_postgres_container"
        self.celery = f"{prefix}_celery_container"
        self.beat = f"{prefix}_beat_container"
        self.network = f"{prefix}_network"
        self.http = httpx.Client(base_url=self.url, timeout=30, verify=self.trust)

    def build(self) -> None:
        """Build and start it, in place of what a killed run may have left."""
        self.clear()
        self.run("./build.sh", timeout=BUILD_TIMEOUT)
        if self.env["TLS"] == "on":
            self.trust.load_verify_locations(self.authority)

    def new_context(self) -> ssl.SSLContext:
        """Return a context that trusts the same authorities, for a client that goes on beside others."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=b"".join(self.trust.get_ca_certs(binary_form=True)))
        return context

    def let_in(self) -> None:
        """Have clients send the token of an operator: for a stack where programs have to say who they are."""
        token = self.run("ops/tokens.sh", "add", "test", "--role", "operator").stdout.strip()
        self.http.headers["Authorization"] = f"Bearer {token}"

    def client(self, **options: Any) -> httpx.Client:
        """Return a client of its own for a part of a test, let in as `http` is."""
        headers = dict(self.http.headers) | options.pop("headers", {})
        return httpx.Client(**{"base_url": self.url, "verify": self.new_context(), "headers": headers} | options)

    def clear(self) -> None:
        """Remove what a killed run may have left, also one from another copy of the project."""
        self.run("./stop.sh", "--purge")
        volumes = self.docker("volume", "ls", "--quiet", "--filter", f"label=warren.stack={self.prefix}").split()
        if volumes:
            self.docker("volume", "rm", *volumes)

    def remove(self) -> None:
        """Remove its containers, networks and data, and close what is open to it."""
        self.http.close()
        self.run("./stop.sh", "--purge")

    # --- scripts and containers ----------------------------------------------------------------------------------

    def run(
        self, script: str, *arguments: str, check: bool = True, timeout: float = 300, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the project's scripts on this stack, with more settings in `env`, and return what it printed."""
        return run([script, *arguments], cwd=self.root, env=self.env | env, check=check, timeout=timeout)

    def run_and_kill(
        self, script: str, *arguments: str, output: Path, timeout: float, why: str, is_now: Callable[[str], bool]
    ) -> None:
        """Run a script, and kill it with all that it has started as soon as `is_now` is true of what it has printed.

        What it prints goes into the file `output`. `timeout` and `why` are as for :func:`wait_until`.
        """
        with output.open("w") as file:
            running = subprocess.Popen(
                [self.root / script, *arguments],
                cwd=self.root,
                env=os.environ | self.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                start_new_session=True,
            )
        try:
            wait_until(lambda: is_now(output.read_text()), timeout, why, interval=0.02)
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def docker(self, *arguments: str, check: bool = True, timeout: float = 60) -> str:
        """Run `docker` and return what it printed."""
        return run(["docker", *arguments], env=self.env, check=check, timeout=timeout).stdout.strip()

    def containers(self) -> list[str]:
        """Return the names of all its containers, those of added workers and stopped ones included."""
        names = self.docker("ps", "--all", "--filter", f"label=warren.stack={self.prefix}", "--format", "{{.Names}}")
        return sorted(names.split())

    def inspect(self, container: str) -> Any:
        """Return what `docker inspect` knows of a container."""
        return json.loads(self.docker("inspect", container))[0]

    def health(self, container: str) -> str:
        """Return `healthy`, `starting` or `unhealthy`, or the container's state while it does not run."""
        state = self.inspect(container)["State"]
        return str(state["Health"]["Status"] if state["Running"] else state["Status"])

    def is_healthy(self, container: str, patience: float = 0) -> bool:
        """Tell whether a container passes its own healthcheck within so many seconds. Docker would take an interval."""
        details = self.inspect(container)
        if not details["State"]["Running"]:
            return False
        kind, *check = details["Config"]["Healthcheck"]["Test"]
        command = ["sh", "-c", *check] if kind == "CMD-SHELL" else check
        # In one `docker exec`, for each costs more than the check.
        until = ["timeout", str(patience), "sh", "-c", 'until "$@"; do sleep 0.1; done', "until"] if patience else []
        return run(["docker", "exec", container, *until, *command], env=self.env, check=False).returncode == 0

    def wait_healthy(self, *containers: str, timeout: float = 60) -> None:
        """Wait until the containers (all by default) are healthy, and Nginx has found Flask, if that is one of them."""
        names = set(containers or self.containers())
        # The check of Nginx looks where Flask is now. So it comes last.
        last = {self.nginx} & set(self.containers()) if self.flask in names else set()
        for container in [*sorted(names - last), *last]:
            wait_until(partial(self.is_healthy, container, 5), timeout, f"{container} is healthy")

    def kill(self, *containers: str) -> None:
        """Kill the main processes of containers with -9, as the kernel or a crash does; restart policies apply.

        Not `docker kill`: the engine takes that for a wish to have it stopped, and does not start it again.
        """
        details = [self.inspect(container) for container in containers]
        pids = " ".join(str(detail["State"]["Pid"]) for detail in details)
        image = details[0]["Image"]
        self.docker(
            "run", "--rm", "--pid=host", "--network=none", "--user=root", image, "bash", "-c", f"kill -9 {pids}"
        )

    def logs(self, container: str, lines: int | str = "all") -> str:
        """Return the last lines of a container's log, both of its streams in order."""
        return run(["docker", "logs", "--tail", str(lines), container], env=self.env, check=False, merge=True).stdout

    def broker_users(self, role: str) -> dict[str, str]:
        """Return RabbitMQ's users for a role, with their passwords, the newest last; mostly it is one."""
        files = [*self.secrets.glob(f"{role}_password"), *self.secrets.glob(f"{role}_[0-9]*_password")]
        users = {file.name.removesuffix("_password"): file.read_text().strip() for file in files}
        return dict(sorted(users.items(), key=lambda item: (len(item[0]), item[0])))

    # --- jobs ----------------------------------------------------------------------------------------------------

    def submit(self, task_type: str, **parameters: Any) -> str:
        """Submit a job of any kind and return its id."""
        body = {"task_type": task_type, "input_params": parameters}
        return self._submit("/flask/tasks", body)

    def submit_heavy(self, seconds: float = 0) -> str:
        """Submit a job that sleeps, and return its id."""
        return self._submit("/flask/heavy", {"seconds": seconds})

    def _submit(self, path: str, body: dict[str, Any]) -> str:
        """Submit a job and return its id. While a slow disk lets the stack take none, come again as clients do."""
        answer = wait_until(
            lambda: self.http.post(path, json=body),
            SUBMIT_TIMEOUT,
            "the job is accepted",
            lambda answer: answer.status_code != 503,
            interval=1,
        )
        assert answer.status_code == 202, f"{answer.status_code}: {answer.text}"
        return str(answer.json()["task_id"])

    def status(self, task_id: str) -> dict[str, Any]:
        """Return the answer of /flask/status: `task_id`, `status` and `result`."""
        answer = self.http.get("/flask/status", params={"task_id": task_id})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_state(self, task_id: str, state: str, timeout: float = 30) -> dict[str, Any]:
        """Wait until a job is in `state` and return its status; fail at once if it ends in another one."""
        status = wait_until(
            lambda: self.status(task_id),
            timeout,
            f"job {task_id} is {state}",
            lambda status: status["status"] in END_STATES | {state},
        )
        assert status["status"] == state, status
        return status

    def walk(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return what all pages of a list hold together."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.http.get(path, params=query | ({"cursor": cursor} if cursor else {})).json()
            found += page["data"]
            cursor = page["next"]
        return found

    @property
    def is_on_postgresql(self) -> bool:
        """Tell whether the ledger is in the PostgreSQL of this stack."""
        return self.postgres in (self.secrets / "database_url").read_text()

    def ledger(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the database itself, and return the rows: those of PostgreSQL as texts, and without parameters."""
        if self.is_on_postgresql:
            ask = ("psql", "--no-psqlrc", "--csv", "--tuples-only", "--dbname", "warren", "--command", sql)
            return [tuple(row) for row in csv.reader(self.docker("exec", self.postgres, *ask).splitlines())]
        with closing(sqlite3.connect(f"file:{self.db}/backend.db?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def check_ledger(self) -> None:
        """Fail unless the ledger's file is whole and each of its jobs is as a job may be."""
        found = unsound_jobs(self.ledger) if self.is_on_postgresql else faults(self.ledger)
        assert not found, "\n".join(found)


def wait_until(
    look: Callable[[], T], timeout: float, why: str, good: Callable[[T], object] = bool, *, interval: float = 0
) -> T:
    """Look again and again until the value is `good` (true, by default), and return it.

    Without an interval, in seconds, the looks come less and less often: most waits are short, and a look is not free.
    `why` completes the sentence "gave up waiting until ...". Exceptions of `look` count as a value that is not good:
    what is looked at may be restarting.
    """
    __tracebackhide__ = True
    if "PYTEST_XDIST_WORKER" in os.environ:
        timeout *= 2  # two processes run tests, and share the processors
    deadline = time.monotonic() + timeout
    pause = 0.05
    while True:
        try:
            value = look()
            if good(value):
                return value
            last = repr(value)
        except Exception as error:
            last = repr(error)
        if time.monotonic() > deadline:
            raise AssertionError(f"gave up waiting until {why}, after {timeout} s; saw last: {last}")
        time.sleep(interval or pause)
        pause = min(1.2 * pause, 0.5)


def run(
    command: list[str],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = 60,
    merge: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command without input. With `check` a failure raises with everything that it printed."""
    __tracebackhide__ = True
    result = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge else subprocess.PIPE,
        text=True,
        timeout=timeout,
    )
    if check and result.returncode != 0:
        raise AssertionError(
            f"{' '.join(command)} ended with {result.returncode}\n{result.stdout}\n{result.stderr or ''}"
        )
    return result


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def docker_answers() -> bool:
    """Tell whether there is a Docker engine to talk to."""
    try:
        return run(["docker", "info"], check=False, timeout=20).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Keep a stack running for the length of a block; its ledger must be sound at the end.

    WARREN_KEEP_STACK=1 leaves it there to be looked at.
    """
    try:
        stack.build()
        yield stack
        stack.check_ledger()
    finally:
        stack.http.close()
        if os.environ.get("WARREN_KEEP_STACK") == "1":
            settings = " ".join(f"{name}={value}" for name, value in stack.env.items())
            print(f"\nThe stack at {stack.url} was kept; to remove it:\n{settings} ./stop.sh --purge")
        else:
            stack.remove()


@contextmanager
def misbehaving_worker(stack: Stack, queues: str, concurrency: int = 2) -> Iterator[str]:
    """Run a worker that knows the tasks of tests/support/misbehaving, too, in place of the usual one."""
    name = f"{stack.prefix}_misbehaving_worker"
    details = stack.inspect(stack.celery)
    limits = details["HostConfig"]
    first_network, *networks = details["NetworkSettings"]["Networks"]
    stack.docker("stop", stack.celery)
    environment = [f"--env={pair}" for pair in details["Config"]["Env"] if not pair.startswith("WORKER_NAME=")]
    secrets = [f"--volume={mount['Source']}:{mount['Target']}:ro" for mount in limits["Mounts"]]
    try:
        stack.docker(
            *("create", "--name", name, f"--label=warren.stack={stack.prefix}", f"--network={first_network}"),
            *(*environment, f"--env=WORKER_NAME={name}", *secrets, *[f"--volume={bind}" for bind in limits["Binds"]]),
            *("--tmpfs=/tmp", f"--volume={ROOT}/tests/support/misbehaving:/app/misbehaving:ro", "--memory=400m"),
            *("--memory-swap=400m", "--restart=unless-stopped", f"{stack.prefix}_celery"),
            *("celery", "--quiet", "--app", "misbehaving", "worker"),
            *("--queues", queues, "--concurrency", str(concurrency)),
            *("--hostname", f"worker@{name}", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
        )
        for network in networks:
            stack.docker("network", "connect", network, name)
        stack.docker("start", name)
        stack.wait_healthy(name)
        yield name
    finally:
        stack.docker("rm", "--force", name, check=False)
        stack.docker("start", stack.celery)
        stack.wait_healthy(stack.celery)


def send(stack: Stack, worker: str, task: str, *, queue: str, timeout: float = 60, **parameters: object) -> str:
    """Send a task of tests/support/misbehaving from inside its worker, wait until it is claimed, and return its id."""
    code = (
        f"from misbehaving import {task}; "
        f"print({task}.apply_async(kwargs={parameters!r}, queue={queue!r}, exchange='jobs', routing_key={queue!r}).id)"
    )
    task_id = stack.docker("exec", worker, "python", "-c", code)
    wait_until(lambda: stack.http.get(f"/flask/tasks/{task_id}").status_code == 200, timeout, "the job is claimed")
    return task_id
