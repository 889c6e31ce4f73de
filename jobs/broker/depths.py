"""What RabbitMQ says of its queues, without the cost of its statistics.

Depths come from the management API, consumers from a passive declaration: asking whether a queue is there.
"""

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import amqp

from jobs.catalogue import QUEUES
from jobs.settings import settings

#: Seconds that one question may take.
TIMEOUT = 2.0


class BrokerUnavailable(Exception):
    """RabbitMQ did not answer, or not with what was asked for."""


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """The messages of one queue at one moment."""

    name: str
    #: Waiting for a worker.
    ready: int
    #: Held by a worker: running, or fetched ahead.
    unacknowledged: int
    #: Worker connections that take from it.
    consumers: int

    @property
    def total(self) -> int:
        """All messages of the queue."""
        return self.ready + self.unacknowledged


def queue_depths(names: tuple[str, ...] = tuple(QUEUES)) -> list[QueueDepth]:
    """Return the depth of each queue. Raises :class:`BrokerUnavailable`."""
    with _answering():
        consumers = _consumers(names)
        totals = _totals(names)
    return [
        QueueDepth(
            name=name,
            ready=totals[name].get("messages_ready", 0),
            unacknowledged=totals[name].get("messages_unacknowledged", 0),
            consumers=consumers[name],
        )
        for name in names
    ]


def machines() -> dict[str, bool]:
    """Return of each machine, by its number, whether its RabbitMQ runs; nothing where there is only one machine.

    Raises :class:`BrokerUnavailable`.
    """
    with _answering(), closing(_management()) as connection:
        nodes = _ask(connection, "nodes?columns=name,running")
    # Of three machines, each has a name that ends in its number: see of_node in settings.sh.
    found = {node["name"].rpartition("_")[2]: bool(node["running"]) for node in nodes}
    return found if len(found) > 1 else {}


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (OSError, amqp.AMQPError, http.client.HTTPException, json.JSONDecodeError) as error:
        raise BrokerUnavailable(f"RabbitMQ does not answer: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return the cause in plain words, without the numbers of the operating system."""
    if isinstance(error, socket.gaierror):
        return "no container of its name is running"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:g} seconds"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _consumers(names: tuple[str, ...]) -> dict[str, int]:
    connection = amqp.Connection(
        host=settings().broker_host,
        userid=settings().monitor_user,
        password=settings().secret("monitor_password"),
        virtual_host="warren",
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        write_timeout=TIMEOUT,
    )
    try:
        connection.connect()
        channel = connection.channel()
        return {name: channel.queue_declare(name, passive=True).consumer_count for name in names}
    finally:
        connection.collect()  # at once; a polite close would wait for an answer


def _totals(names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    with closing(_management()) as connection:
        return {
            name: _ask(connection, f"queues/warren/{name}?disable_stats=true&enable_queue_totals=true")
            for name in names
        }


def _management() -> http.client.HTTPConnection:
    return http.client.HTTPConnection(settings().broker_host, 15672, timeout=TIMEOUT)


def _ask(connection: http.client.HTTPConnection, path: str) -> Any:
    user = f"{settings().monitor_user}:{settings().secret('monitor_password')}"
    credentials = base64.b64encode(user.encode()).decode()
    connection.request("GET", f"/api/{path}", headers={"Authorization": f"Basic {credentials}"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise BrokerUnavailable(f"RabbitMQ answered {response.status} about {path.partition('?')[0]}")
    return json.loads(body)
