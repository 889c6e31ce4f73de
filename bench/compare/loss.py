"""What is lost when containers are killed."""

import time
from contextlib import suppress

from bench.compare import client
from bench.compare.contestants import Contestant, docker
from bench.compare.drain import wait_until_more
from bench.compare.row import PATIENCE, Row, Size


def loss(contestant: Contestant, size: Size) -> Row:
    """Kill the worker, the web server and the broker while jobs come in and others wait; start each again at once.

    The worker is killed while it works off a backlog: an idle one has nothing to lose.

    A job that was answered 202 and never gets a result is lost.
    """
    victims = [role for role in ("worker", "flask", contestant.broker) if role]
    count = contestant.count(contestant)
    contestant.stop("worker")
    at_rest = count()
    stream = client.Stream(contestant.address())
    stream.start()
    time.sleep(size.loss / 3)
    contestant.start("worker")
    wait_until_more(count, at_rest)
    for role in victims:
        docker("kill", contestant.container(role))
        contestant.start(role)
        time.sleep(size.loss / 3)
    stream.stop()
    client.wait_for_answer(contestant.address())
    missing, until = stream.accepted, time.monotonic() + PATIENCE
    while missing and time.monotonic() < until:
        time.sleep(1)
        before, missing = missing, _without_result(contestant.address(), missing)
        if len(missing) < len(before):
            until = time.monotonic() + PATIENCE
    return {"killed": victims, "accepted": len(stream.accepted), "refused": stream.refused, "lost": len(missing)}


def _without_result(address: str, task_ids: list[str]) -> list[str]:
    """Return the ids of the jobs that have no result yet."""
    connection = client.Client(address)
    missing = []
    for task_id in task_ids:
        with suppress(OSError):
            if connection.done(task_id):
                continue
        missing.append(task_id)
    return missing
