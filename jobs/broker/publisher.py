"""Publishing to RabbitMQ with confirms, many messages for one wait, and never longer than a known time.

A publisher belongs to one thread. It opens its connection when it first needs it and throws it away after any trouble;
what was not confirmed is still due in the ledger, so trouble costs time and never a job.
"""

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any

import amqp
from celery import Celery

from jobs import logs
from jobs.broker.wire import Wire
from jobs.ledger.records import DueJob

#: Seconds that one batch may take, connecting included.
PUBLISH_TIMEOUT = 5.0

#: Most messages in one batch.
MAX_BATCH = 500

#: What connecting to a broker, and talking with it, may raise.
BROKER_ERRORS = (OSError, amqp.AMQPError)


class NotPublished(Exception):
    """The broker did not confirm the batch in time; part of it may have arrived all the same."""


def tell_published(logger: logging.Logger, jobs: Sequence[DueJob], seconds: float) -> None:
    """Log that a batch was published, and how long that took until the broker had confirmed it."""
    ids = [(job.id, job.request_id) for job in jobs]
    logs.tell_of_jobs(logger, "published", ids, seconds=round(seconds, 4))


class Publisher:
    """Publishes due jobs to their queues and waits until the broker has them on disk."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._channel: Any = None
        self._wire: Any = None
        self._blocked = False
        self._sent = 0
        self._unconfirmed: set[int] = set()
        self._refused = 0
        #: How many jobs to hand over at once. One after trouble, then twofold with each success: a broker in an alarm
        #: keeps what it is sent and confirms it only when the alarm is over, so each try adds a second message.
        self.batch_size = 1

    def publish(self, jobs: Sequence[DueJob]) -> None:
        """Publish the jobs and return when the broker has confirmed all of them. Raises :class:`NotPublished`."""
        deadline = time.monotonic() + PUBLISH_TIMEOUT
        try:
            if self._connection is None:
                self._connect()
            self._refuse_if_blocked()
            self._send(jobs)
            self._await_confirms(deadline)
        except BROKER_ERRORS as error:
            self.close()
            raise NotPublished(f"{type(error).__name__}: {error}") from error
        except NotPublished:
            self.batch_size = 1
            raise
        self.batch_size = min(MAX_BATCH, self.batch_size * 2)

    def close(self) -> None:
        """Drop the connection at once: a polite close would wait for an answer that may never come."""
        connection, self._connection, self._channel = self._connection, None, None
        self._unconfirmed.clear()
        self._blocked = False
        self.batch_size = 1
        if connection is not None:
            with contextlib.suppress(*BROKER_ERRORS):
                connection.collect()

    def _connect(self) -> None:
        parameters = self._app.connection_for_write()
        connection = amqp.Connection(
            host=f"{parameters.hostname}:{parameters.port}",
            userid=parameters.userid,
            password=parameters.password,
            virtual_host=parameters.virtual_host,
            connect_timeout=3,
            # Without these, py-amqp waits for ever for a broker that is paused or in an alarm.
            read_timeout=PUBLISH_TIMEOUT,
            write_timeout=PUBLISH_TIMEOUT,
            # Nobody would tend a heartbeat between batches; a dead connection shows at the next one.
            heartbeat=0,
            on_blocked=self._on_blocked,
            on_unblocked=self._on_unblocked,
        )
        self._connection = connection
        connection.connect()
        self._channel = connection.channel()
        self._wire = Wire(self._app, self._channel)
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)
        self._sent = 0

    def _refuse_if_blocked(self) -> None:
        self._drain(timeout=0)  # an alarm, or its end, that was told since the last batch
        if self._blocked:
            raise NotPublished("the broker takes no messages: an alarm of its memory or disk")

    def _send(self, jobs: Sequence[DueJob]) -> None:
        # All at once: a system call for each message costs as much as writing the message.
        self._connection.transport.write(b"".join([self._wire.message(due) for due in jobs]))
        self._unconfirmed.update(range(self._sent + 1, self._sent + len(jobs) + 1))
        self._sent += len(jobs)

    def _await_confirms(self, deadline: float) -> None:
        while self._unconfirmed:
            left = deadline - time.monotonic()
            if self._blocked or left <= 0:
                self.close()
                raise NotPublished("the broker did not confirm in time")
            self._drain(timeout=left)
        if self._refused:
            self._refused = 0
            raise NotPublished("the broker refused a message, or has no queue for it")

    def _drain(self, timeout: float) -> None:
        with contextlib.suppress(TimeoutError):
            self._connection.drain_events(timeout=timeout)

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed = {tag for tag in self._unconfirmed if tag > delivery_tag}
        else:
            self._unconfirmed.discard(delivery_tag)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:
        self._refused += 1
        self._on_ack(delivery_tag, multiple)

    def _on_return(self, *_details: Any) -> None:
        self._refused += 1

    def _on_blocked(self, _reason: str) -> None:
        self._blocked = True

    def _on_unblocked(self) -> None:
        self._blocked = False
