"""The bytes that are sent over a stream: events and comments, plain or compressed."""

import time
import zlib
from functools import cached_property

#: The first bytes of a gzip file (RFC 1952), here without a name or a time.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class Payload:
    """What is sent to many subscribers: compressed once, for all of them who accept gzip."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain

    @cached_property
    def compressed(self) -> bytes:
        """A piece of a gzip file. It does not refer to any piece before it, so it can follow any other piece."""
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return compressor.compress(self.plain) + compressor.flush(zlib.Z_FULL_FLUSH)


#: How long a browser waits before it connects again, in milliseconds.
RETRY = Payload(b"retry: 2000\n\n")
#: A comment: it keeps a quiet connection open, and browsers ignore it.
KEEP_ALIVE = Payload(b": still here\n\n")


def event(name: str, data: str) -> bytes:
    """Return an event. Its id is the time now, in milliseconds since the epoch."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"id: {int(time.time() * 1000)}\nevent: {name}\n{lines}\n".encode()
