"""What a job is on the wire, compared with the bytes that Celery and py-amqp write for it themselves."""

from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from amqp.method_framing import frame_writer
from amqp.serialization import dumps as arguments
from amqp.spec import Basic
from kombu.serialization import dumps

from jobs.app import app
from jobs.broker.wire import Wire
from jobs.ledger.records import DueJob, Priority

AN_ID = "0b6e9c0e-5f0f-4b6e-9d43-6f3a2f6a7c11"
ANOTHER_ID = "7d0c3f6e-3c0a-4d0c-8b43-1f3a2f6a7c22"


@pytest.fixture
def channel() -> Any:
    return SimpleNamespace(connection=SimpleNamespace(frame_max=4096, bytes_sent=0), channel_id=1)


def written_by_the_libraries(channel: Any, due: DueJob) -> bytes:
    task = app.amqp.create_task_message(
        due.id, due.type, kwargs=due.params, retries=due.retries, argsrepr="()", kwargsrepr="{...}"
    )
    content_type, content_encoding, body = dumps(task.body, serializer="json")
    message = amqp.Message(
        body,
        content_type=content_type,
        content_encoding=content_encoding,
        application_headers={name: value for name, value in task.headers.items() if value is not None}
        | {"ledger": True},
        delivery_mode=2,
        **({"priority": due.priority} if due.priority else {}),
        **task.properties,
    )
    written = bytearray()
    write_frames = frame_writer(channel.connection, SimpleNamespace(write=written.extend))
    write_frames(1, 1, Basic.Publish, arguments("Bssbb", (0, "jobs", due.queue, True, False)), message)
    return bytes(written)


@pytest.mark.parametrize(
    "due",
    [
        DueJob(id=AN_ID, type="add", queue="arithmetic", params={"a": 1, "b": 2.5}, due_at=0),
        DueJob(id=ANOTHER_ID, type="add", queue="arithmetic", params={"a": 1, "b": 3}, due_at=0),
        DueJob(id=AN_ID, type="add", queue="arithmetic", params={"a": 1, "b": 2}, due_at=0, retries=2),
        DueJob(id=AN_ID, type="add", queue="arithmetic", params={"a": 1, "b": 2}, due_at=0, priority=Priority.HIGH),
        DueJob(id=AN_ID, type="heavy", queue="heavy", params={}, due_at=0),
        DueJob(id=AN_ID, type="text", queue="arithmetic", params={"text": "\u00e9{}\U0001f600" * 2000}, due_at=0),
        DueJob(id="short", type="add", queue="arithmetic", params={"a": 1, "b": 2}, due_at=0),
        DueJob(id="\u00e9" * 36, type="add", queue="arithmetic", params={"a": 1, "b": 2}, due_at=0),
    ],
    ids=[
        "a job",
        "another of its kind",
        "a retry",
        "an urgent one",
        "no parameters",
        "several frames",
        "short id",
        "id of long letters",
    ],
)
def test_the_bytes_are_those_that_the_libraries_write(channel: Any, due: DueJob) -> None:
    wire = Wire(app, channel)
    for _ in range(2):  # the second time from the prepared head
        assert wire.message(due) == written_by_the_libraries(channel, due)
