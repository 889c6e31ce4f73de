"""Jobs as the bytes that AMQP sends.

Of two messages of the same kind of job, only the ids and the parameters differ. So Celery and py-amqp make the head of
one message, and every other gets its own id there.
"""

import json
import struct
from functools import lru_cache
from types import SimpleNamespace

import amqp
from amqp.method_framing import frame_writer
from amqp.serialization import dumps as arguments
from amqp.spec import Basic
from celery import Celery
from kombu.serialization import dumps

from jobs.app import EXCHANGE
from jobs.ledger.records import DueJob

#: Stands for the id of a job; it must be as long, since the length is part of the message.
_AN_ID = "00000000-0000-0000-0000-000000000000"

_FRAME = struct.Struct(">BHI")  # kind, channel, size
_FRAME_END = b"\xce"
_BODY = 3  # a kind of frame
#: Where the content's size is within the frame that describes it: after the frame's head, class and weight.
_SIZE_AT = _FRAME.size + 4


class Wire:
    """Writes jobs as bytes for one channel of one connection."""

    def __init__(self, app: Celery, channel: amqp.Channel) -> None:
        self._app = app
        self._channel = channel
        self._largest_frame = channel.connection.frame_max - _FRAME.size - len(_FRAME_END)
        self._head = lru_cache(maxsize=256)(self._make_head)

    def message(self, due: DueJob) -> bytes:
        """Return the bytes that publish a job: what to do with it, what it is, and its parameters."""
        # An id that was chosen by whoever called `apply_async` may be of any length.
        known = _AN_ID if len(due.id.encode()) == len(_AN_ID) else due.id
        head, size_at, before, after = self._head(due.type, due.queue, due.retries, due.priority, known)
        body = before + json.dumps(due.params).encode() + after
        message = bytearray(head.replace(known.encode(), due.id.encode()))
        struct.pack_into(">Q", message, size_at, len(body))
        for start in range(0, len(body), self._largest_frame):
            part = body[start : start + self._largest_frame]
            message += _FRAME.pack(_BODY, self._channel.channel_id, len(part)) + part + _FRAME_END
        return bytes(message)

    def _make_head(
        self, job_type: str, queue: str, retries: int, priority: int, job_id: str
    ) -> tuple[bytes, int, bytes, bytes]:
        """Return the frames before the body, where in them its size is, and the body around the parameters."""
        task = self._app.amqp.create_task_message(
            # For people who look at a message: the parameters are in its body.
            job_id, job_type, kwargs={}, retries=retries, argsrepr="()", kwargsrepr="{...}"
        )  # fmt: skip
        content_type, content_encoding, body = dumps(task.body, serializer="json")
        headers = {**task.headers, "ledger": True}
        message = amqp.Message(
            b"",
            content_type=content_type,
            content_encoding=content_encoding,
            # Without those that say nothing: they are read again for each message, by the broker and by the worker.
            application_headers={name: value for name, value in headers.items() if value is not None},
            delivery_mode=2,  # persistent
            priority=priority or None,
            **task.properties,
        )
        written: list[bytes] = []
        write_frames = frame_writer(
            self._channel.connection, SimpleNamespace(write=lambda part: written.append(bytes(part)))
        )
        # mandatory: a queue that is missing is an error, not a silent loss
        publish = arguments("Bssbb", (0, EXCHANGE, queue, True, False))
        write_frames(1, self._channel.channel_id, Basic.Publish, publish, message)
        head = b"".join(written)
        method_size = _FRAME.size + _FRAME.unpack_from(head)[2] + len(_FRAME_END)
        before, after = body.encode().split(b"{}", 1)
        return head, method_size + _SIZE_AT, before, after
