"""Requests as bytes, however wrong they are, and what comes back for them."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

STATUS_LINE = re.compile(r"HTTP/1\.1 (\d{3}) .*")

#: The status of an answer that has none, as those of HTTP/0.9. It is the last one on a connection.
NO_STATUS = 9


@dataclass(frozen=True)
class Answer:
    """An answer; the names of its headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Exchange:
    """What became of the bytes that were sent on one connection."""

    sent: bytes
    received: bytes
    #: Whether the server has closed the connection.
    closed: bool

    @property
    def answers(self) -> list[Answer]:
        """The answers that came back. Raises ValueError if what came is anything else than whole answers."""
        found: list[Answer] = []
        rest = self.received
        while rest:
            if not rest.startswith(b"HTTP/"):
                return [*found, Answer(NO_STATUS, {}, rest)]
            head, end, rest = rest.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            status = STATUS_LINE.fullmatch(first)
            if not end or not status:
                raise ValueError(f"no answer: {self.received!r}")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            if status[1][0] == "1":
                continue  # `100 Continue`: the answer itself is still to come
            length = int(headers["content-length"])
            if len(rest) < length:
                raise ValueError(f"half an answer: {self.received!r}")
            found.append(Answer(int(status[1]), headers, rest[:length]))
            rest = rest[length:]
        return found


def exchange(port: int, requests: Sequence[bytes], *, patience: float) -> list[Exchange]:
    """Send each of these on a connection of its own, all at once, and return what comes back within `patience`."""

    async def all_of_them() -> list[Exchange]:
        return await asyncio.gather(*(_exchange(port, sent, patience) for sent in requests))

    return asyncio.run(all_of_them())


async def _exchange(port: int, sent: bytes, patience: float) -> Exchange:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received, closed = b"", True
    try:
        writer.write(sent)
        async with asyncio.timeout(patience):
            while part := await reader.read(65536):
                received += part
    except TimeoutError:
        closed = False
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return Exchange(sent, received, closed)
