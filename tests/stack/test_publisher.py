"""Publisher and relay against the real broker. Their jobs are in no ledger that the worker knows, so it drops them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery

from jobs.broker import publisher
from jobs.broker.publisher import PUBLISH_TIMEOUT, NotPublished, Publisher
from jobs.broker.relay import Relay
from jobs.commands.migrate import upgrade
from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.records import DueJob, NewJob
from tests.support.stack import Stack, wait_until

#: Seconds that a machine which is busy with other things may need on top.
LENIENCE = 5.0


def due(count: int, queue: str = "arithmetic") -> list[DueJob]:
    return [NewJob(type="add", queue=queue, params={"a": 1, "b": 2}).due for _ in range(count)]


@pytest.fixture
def celery_app(stack: Stack) -> Celery:
    """A Celery app that finds the broker from outside of its network: the machine itself has a leg in each bridge."""
    address = stack.inspect(stack.rabbitmq)["NetworkSettings"]["Networks"][stack.network]["IPAddress"]
    [(user, password)] = stack.broker_users("publisher").items()
    return Celery(broker=f"amqp://{user}:{password}@{address}:5672/warren")


@pytest.fixture
def sending(celery_app: Celery) -> Iterator[Publisher]:
    made = Publisher(celery_app)
    yield made
    made.close()


@contextmanager
def paused(stack: Stack) -> Iterator[None]:
    stack.docker("pause", stack.rabbitmq)
    try:
        yield
    finally:
        stack.docker("unpause", stack.rabbitmq)
        stack.wait_healthy(stack.rabbitmq)


@contextmanager
def memory_alarm(stack: Stack) -> Iterator[None]:
    set_to = "rabbitmqctl set_vm_memory_high_watermark absolute"
    stack.docker("exec", stack.rabbitmq, "bash", "-c", f"{set_to} 1")
    try:
        yield
    finally:
        stack.docker("exec", stack.rabbitmq, "bash", "-c", f"{set_to} $RABBITMQ_WATERMARK")


def test_batches_are_confirmed_and_grow_twofold(sending: Publisher) -> None:
    sizes = []
    for _ in range(11):
        sizes.append(sending.batch_size)
        sending.publish(due(sending.batch_size))
    assert sizes == [1, 2, 4, 8, 16, 32, 64, 128, 256, publisher.MAX_BATCH, publisher.MAX_BATCH]


def test_a_queue_that_is_missing_is_told_and_the_next_batch_is_small(sending: Publisher) -> None:
    sending.publish(due(1))
    with pytest.raises(NotPublished, match="no queue"):
        sending.publish([*due(1), *due(1, queue="no_such_queue")])
    assert sending.batch_size == 1
    sending.publish(due(1))


@pytest.mark.parametrize("trouble", [paused, memory_alarm])
def test_a_broker_that_does_not_confirm_is_given_up_after_a_known_time(
    stack: Stack, sending: Publisher, trouble: Callable[[Stack], Iterator[None]]
) -> None:
    sending.publish(due(1))
    with trouble(stack):  # type: ignore[attr-defined]
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(NotPublished):
                sending.publish(due(1))
            assert time.monotonic() - began < 2 * PUBLISH_TIMEOUT + LENIENCE
    wait_until(lambda: publishes(sending), 30, "it publishes again")


def publishes(sending: Publisher) -> bool:
    sending.publish(due(1))
    return True


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/backend.db")
    upgrade(made)
    yield made
    made.dispose()


def hand_over(ledger: Ledger, handing: Relay, count: int) -> None:
    """Accept so many jobs and give them to the relay."""
    new = [NewJob(type="add", queue="arithmetic", params={"a": 1, "b": 2}) for _ in range(count)]
    with ledger.writing() as connection:
        for each in new:
            moves.add(connection, each)
    for each in new:
        handing.hand_over(each.due)


def left(ledger: Ledger) -> int:
    """Count the jobs that have yet to be published."""
    with ledger.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM job WHERE due_at IS NOT NULL").scalar_one())


def test_what_the_relay_has_published_is_marked_so(sending: Publisher, ledger: Ledger) -> None:
    hand_over(ledger, Relay(sending, GroupCommit(ledger)), 200)
    wait_until(lambda: left(ledger), 20, "all are marked published", lambda count: count == 0)
    with ledger.reading() as connection:
        assert queries.count_unclaimed(connection, "arithmetic", time.time() + 1) == 200


def test_what_the_relay_cannot_publish_stays_due_for_beat(
    stack: Stack, sending: Publisher, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    handing = Relay(sending, GroupCommit(ledger))
    with paused(stack):
        hand_over(ledger, handing, 3)
        wait_until(lambda: "not published" in caplog.text, 30, "the relay has given up for now")
        assert left(ledger) == 3
    hand_over(ledger, handing, 1)
    wait_until(lambda: left(ledger), 30, "the later one is published", lambda count: count <= 3)
