"""The stacks that are compared: how each is started, removed, and asked how many jobs it has finished."""

import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import amqp

ROOT = Path(__file__).resolve().parents[2]
#: The contestants' databases are folders here, so that the same disk is under all of them.
DATA = ROOT / "bench/results/data"
PREFIX = os.environ.get("PREFIX", "bench")

#: Tells how many jobs are finished. It may begin at any number: only differences count.
Count = Callable[[], int]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A stack with the same routes, jobs and roles as all others."""

    name: str
    title: str
    #: One line for the page: how it keeps jobs and results.
    keeps: str
    #: Why it is faster than Warren where it is.
    why: str = ""
    build: list[str]
    remove: list[str] = field(default_factory=lambda: ["bench/contestants/remove.sh"])
    #: What the build script has to be told besides the names.
    settings: dict[str, str] = field(default_factory=dict)
    #: Makes the counter of finished jobs, which asks the contestant's own store.
    count: Callable[["Contestant"], Count]
    #: The role of the container that jobs wait in; none if they wait in a file.
    broker: str | None
    keeps_results: bool = True

    @property
    def prefix(self) -> str:
        """Starts the names of its containers and images."""
        return f"{PREFIX}_{self.name}"

    @property
    def data(self) -> Path:
        """The folder that is mounted at /db."""
        return DATA / self.name

    def up(self, **settings: str) -> float:
        """Build and start it from nothing; return the seconds that this took, to the first job that came through."""
        self.down()
        began = time.monotonic()
        self._run(self.build, settings)
        return time.monotonic() - began

    def down(self) -> None:
        """Remove its containers and its data."""
        self._run(self.remove, {})

    def roles(self) -> dict[str, str]:
        """Return its running containers: role -> name."""
        choose = f"label=warren.stack={self.prefix}"
        lines = docker("ps", "--filter", choose, "--format", '{{.Label "warren.role"}} {{.Names}}').splitlines()
        return dict(line.split() for line in sorted(lines))

    def container(self, role: str) -> str:
        """Return the name of a container, running or not."""
        return f"{self.prefix}_{'celery' if role == 'worker' else role}_container"

    def stop(self, role: str) -> None:
        """Stop a container as an operator does."""
        docker("stop", self.container(role))

    def start(self, role: str) -> None:
        """Start a container that was stopped or killed."""
        docker("start", self.container(role))

    def address(self, role: str = "") -> str:
        """Return where a container listens, Nginx by default. The published port would cost a process in between."""
        # In Warren a container of its own holds the port of Nginx.
        role = role or ("port" if "port" in self.roles() else "nginx")
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return docker("inspect", "--format", networks, self.container(role)).split()[0]

    def _run(self, command: list[str], settings: dict[str, str]) -> None:
        names = {"PREFIX": self.prefix, "DB_DIR": str(self.data), "SECRETS_DIR": str(DATA / f"{self.name}_secrets")}
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | names | self.settings | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if ended.returncode:
            raise SystemExit(f"error: {' '.join(command)} failed\n\n{ended.stdout[-3000:]}")


def docker(*arguments: str) -> str:
    """Run `docker` and return what it printed."""
    ended = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"error: docker {' '.join(arguments)} failed\n\n{ended.stderr}")
    return ended.stdout


# --- how many jobs are finished ---------------------------------------------------------------------------------------


def rows(file: str, sql: str) -> Callable[[Contestant], Count]:
    """Count with a query in a SQLite file of the contestant; read-only, so nobody waits for us."""

    def make(contestant: Contestant) -> Count:
        def count() -> int:
            with closing(sqlite3.connect(f"file:{contestant.data / file}?mode=ro", uri=True, timeout=10)) as database:
                return int(database.execute(sql).fetchone()[0])

        return count

    return make


def keys(command: str) -> Callable[[Contestant], Count]:
    """Count with a command of Redis that answers a number."""

    def make(contestant: Contestant) -> Count:
        address = contestant.address("redis")

        def count() -> int:
            with socket.create_connection((address, 6379), timeout=10) as redis:
                redis.sendall(f"{command}\r\n".encode())
                return int(redis.recv(64).decode().removeprefix(":"))

        return count

    return make


def messages_gone(contestant: Contestant) -> Count:
    """Count down the messages that are left in Celery's queue: all there is where no results are kept.

    The last few jobs are still being run when it is empty. Among thousands that makes no difference.
    """
    address = contestant.address("rabbitmq")

    def count() -> int:
        with amqp.Connection(f"{address}:5672") as connection:
            return -int(connection.channel().queue_declare("celery", passive=True).message_count)

    return count


# --- who they are -----------------------------------------------------------------------------------------------------


def _other(
    name: str, title: str, keeps: str, why: str, count: Callable[[Contestant], Count], broker: str | None
) -> Contestant:
    build = ["bench/contestants/build.sh", name]
    return Contestant(name=name, title=title, keeps=keeps, why=why, build=build, count=count, broker=broker)


ALL = [
    Contestant(
        name="warren",
        title="Warren",
        keeps="jobs and results in SQLite, with `fsync`; RabbitMQ quorum queues with confirms; late acknowledgement",
        build=["./build.sh"],
        remove=["./stop.sh", "--purge"],
        count=rows("backend.db", "SELECT count(*) FROM job WHERE state = 'SUCCESS'"),
        broker="rabbitmq",
    ),
    Contestant(
        name="textbook",
        title="Textbook",
        keeps="Flask and Celery with all defaults: RabbitMQ, results in SQLite",
        why="It publishes without a confirm, and acknowledges a message before the job is run.",
        build=["bench/textbook/build.sh"],
        count=rows("results.db", "SELECT count(*) FROM celery_taskmeta"),
        broker="rabbitmq",
    ),
    Contestant(
        name="ceiling",
        title="Celery without results",
        keeps="the textbook, but nobody can ask for a result: the fastest that Celery's default pool can be",
        why="It writes nothing about a job.",
        build=["bench/textbook/build.sh"],
        settings={"IGNORE_RESULT": "1"},
        count=messages_gone,
        broker="rabbitmq",
        keeps_results=False,
    ),
    _other(
        "rq",
        "RQ",
        "Flask; jobs and results in Redis, in memory",
        "Redis answers when it has a job in memory. RQ starts a process for each job, which makes it slow to drain.",
        keys("ZCARD rq:finished:default"),
        "redis",
    ),
    _other(
        "dramatiq",
        "Dramatiq",
        "Flask; RabbitMQ; results in Redis, in memory",
        "It publishes without a confirm, and keeps results in memory.",
        keys("DBSIZE"),
        "rabbitmq",
    ),
    _other(
        "huey",
        "Huey",
        "Flask; jobs and results in one SQLite file, without `fsync`",
        "It has no broker: its workers take jobs out of the file that the web server writes, which is less to do for"
        " each job. A job is not on disk when it is accepted, and it is gone from the file before it is run.",
        rows("huey.db", "SELECT count(*) FROM kv"),
        None,
    ),
    _other(
        "taskiq",
        "taskiq",
        "FastAPI; RabbitMQ; results in Redis, in memory",
        "FastAPI on Uvicorn needs less processor time for a request than Flask on Gunicorn, and each of its worker"
        " processes runs many jobs at once. Results are kept in memory.",
        keys("DBSIZE"),
        "rabbitmq",
    ),
]
