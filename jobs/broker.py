"""What RabbitMQ says of its queues, over its management API: depths without the cost of its statistics."""

import base64
import http.client
import json
from dataclasses import dataclass

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


def queue_depths(names: tuple[str, ...] = QUEUES) -> list[QueueDepth]:
    """Return the depth of each queue. Raises :class:`BrokerUnavailable`."""
    credentials = base64.b64encode(f"monitor:{settings().secret('monitor_password')}".encode()).decode()
    connection = http.client.HTTPConnection(settings().broker_host, 15672, timeout=TIMEOUT)
    try:
        depths = []
        for name in names:
            connection.request(
                "GET",
                f"/api/queues/warren/{name}?disable_stats=true&enable_queue_totals=true",
                headers={"Authorization": f"Basic {credentials}"},
            )
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise BrokerUnavailable(f"RabbitMQ answered {response.status} about the queue {name}")
            found = json.loads(body)
            depths.append(
                QueueDepth(
                    name=name,
                    ready=found.get("messages_ready", 0),
                    unacknowledged=found.get("messages_unacknowledged", 0),
                    consumers=found.get("consumers", 0),
                )
            )
        return depths
    except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
        raise BrokerUnavailable(f"RabbitMQ does not answer: {error or type(error).__name__}") from error
    finally:
        connection.close()
