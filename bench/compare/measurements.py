"""What is measured. Each measurement finds its contestant running, and returns the figures of one row."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.compare import load
from bench.compare.cgroups import memory_bytes, processor_seconds, used
from bench.compare.client import Client, Stream, submit_many
from bench.compare.contestants import Contestant, docker

Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How long and how much. `--quick` uses the small one."""

    rounds: int
    burst: float
    sustained: float
    backlog: int
    drain: float
    latency: float
    loss: float


FULL = Size(rounds=2, burst=10, sustained=60, backlog=8000, drain=20, latency=8, loss=12)
QUICK = Size(rounds=1, burst=6, sustained=12, backlog=4000, drain=8, latency=4, loss=9)

#: Jobs per second that are submitted meanwhile, where a latency "under load" is measured.
BACKGROUND_RATE = 50
#: A job that was accepted has to have its result so many seconds after the last one was submitted.
PATIENCE = 60


# --- at rest ----------------------------------------------------------------------------------------------------------


def memory(contestant: Contestant, size: Size) -> Row:
    """Memory of each container while nothing happens."""
    time.sleep(3)
    return {"bytes": memory_bytes(contestant)}


def images(contestant: Contestant, size: Size) -> Row:
    """Size of the image of each container."""
    roles = contestant.roles()
    ids = docker("inspect", "--format", "{{.Image}}", *roles.values()).split()
    sizes = docker("image", "inspect", "--format", "{{.Size}}", *ids).split()
    return {"bytes": {role: int(size) for role, size in zip(roles, sizes, strict=True)}}


_PACKAGES = "flask gunicorn celery rq dramatiq huey fastapi uvicorn taskiq taskiq-aio-pika"
_VERSIONS = f"""
from importlib.metadata import distributions
names = "{_PACKAGES}".split()
print(*(f"{{one.name}}={{one.version}}" for one in distributions() if one.name.lower() in names))
"""
_SERVERS = {"nginx": "nginx", "rabbitmq": "rabbitmq-server", "redis": "redis-server"}


def versions(contestant: Contestant, size: Size) -> Row:
    """Versions of the packages and servers that matter."""
    found = docker("exec", contestant.container("flask"), "python", "-c", _VERSIONS).split()
    for role, package in _SERVERS.items():
        if role in contestant.roles():
            query = ("dpkg-query", "--show", "--showformat", "${Package}=${Version}", package)
            found.append(docker("exec", contestant.container(role), *query))
    return {"versions": dict(item.split("=", 1) for item in sorted(found, key=str.lower))}


# --- accepting --------------------------------------------------------------------------------------------------------


def noop(contestant: Contestant, size: Size) -> Row:
    """A route that does nothing."""
    _fresh_nginx(contestant)
    return _rate(load.get(contestant.address(), "/flask/healthz", size.burst))


def burst(contestant: Contestant, size: Size) -> Row:
    """Submit while no worker runs."""
    contestant.stop("worker")
    return _accept(contestant, size.burst)


def sustained(contestant: Contestant, size: Size) -> Row:
    """Submit while the worker runs."""
    contestant.start("worker")
    return _accept(contestant, size.sustained)


def _accept(contestant: Contestant, seconds: float) -> Row:
    _fresh_nginx(contestant)
    before = processor_seconds(contestant)
    done = load.submit(contestant.address(), seconds)
    return _rate(done) | _microseconds(used(before, processor_seconds(contestant)), done.good)


def _fresh_nginx(contestant: Contestant) -> None:
    """Start Nginx anew: where it keeps no connections, those of earlier measurements would still hold its ports."""
    contestant.stop("nginx")
    contestant.start("nginx")
    _wait_for_answer(contestant)


def _wait_for_answer(contestant: Contestant) -> None:
    """Wait until a status is answered again."""
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError):
            Client(contestant.address()).submit()
            return
        if time.monotonic() > until:
            raise SystemExit(f"error: {contestant.title} does not accept jobs any more")
        time.sleep(0.1)


def _rate(done: load.Load) -> Row:
    return {
        "per_second": done.good / done.seconds,
        "p50": done.p50,
        "p99": done.p99,
        "refused": done.refused,
        "broken": done.broken,
    }


def _microseconds(seconds: dict[str, float], jobs: int) -> Row:
    return {"microseconds": {role: spent / max(jobs, 1) * 1e6 for role, spent in seconds.items()}}


# --- draining ---------------------------------------------------------------------------------------------------------


def drain(contestant: Contestant, size: Size) -> Row:
    """Give a stopped worker a backlog and start it: how fast are jobs finished, from the first one on?

    What counts is what the contestant's own store says. Slow ones are watched for `size.drain` seconds.
    """
    count = contestant.count(contestant)
    contestant.stop("worker")
    submit_many(contestant.address(), size.backlog)
    at_rest = count()
    contestant.start("worker")
    while (first := count()) == at_rest:
        time.sleep(0.02)
    began, before = time.monotonic(), processor_seconds(contestant)
    last, seconds = first, 0.0
    while last < at_rest + size.backlog and seconds < size.drain:
        time.sleep(0.02)
        last, seconds = count(), time.monotonic() - began
    jobs = last - first
    row = _microseconds(used(before, processor_seconds(contestant)), jobs)
    return {"jobs": jobs, "seconds": seconds, "per_second": jobs / seconds} | row


# --- end to end -------------------------------------------------------------------------------------------------------


def idle(contestant: Contestant, size: Size) -> Row:
    """From the submission of a job to its result, one job after the other."""
    return _end_to_end(contestant, size.latency)


def loaded(contestant: Contestant, size: Size) -> Row:
    """The same while others submit jobs, too."""
    others = Stream(contestant.address(), BACKGROUND_RATE)
    others.start()
    try:
        return _end_to_end(contestant, size.latency)
    finally:
        others.stop()


def _end_to_end(contestant: Contestant, seconds: float) -> Row:
    client = Client(contestant.address())
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 2:
        began = time.monotonic()
        task_id = client.submit()
        while not client.done(task_id):
            time.sleep(0.001)
        times.append(time.monotonic() - began)
    times.sort()
    return {"jobs": len(times), "p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)]}


# --- what is lost -----------------------------------------------------------------------------------------------------


def loss(contestant: Contestant, size: Size) -> Row:
    """Kill the worker, the web server and the broker while jobs come in; start each again at once.

    A job that was answered 202 and has no result when `PATIENCE` is over counts as lost.
    """
    victims = [role for role in ("worker", "flask", contestant.broker) if role]
    stream = Stream(contestant.address())
    stream.start()
    for role in victims:
        time.sleep(size.loss / len(victims) / 2)
        docker("kill", contestant.container(role))
        contestant.start(role)
        time.sleep(size.loss / len(victims) / 2)
    stream.stop()
    _wait_for_answer(contestant)
    missing = stream.accepted
    until = time.monotonic() + PATIENCE
    while missing and time.monotonic() < until:
        missing = _without_result(contestant.address(), missing)
        time.sleep(1)
    return {"killed": victims, "accepted": len(stream.accepted), "refused": stream.refused, "lost": len(missing)}


def _without_result(address: str, task_ids: list[str]) -> list[str]:
    """Return the ids of the jobs that have no result yet."""
    client = Client(address)
    missing = []
    for task_id in task_ids:
        with suppress(OSError):
            if client.done(task_id):
                continue
        missing.append(task_id)
    return missing
