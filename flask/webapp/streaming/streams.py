"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) to any number of viewers.

A stream would hold a thread of Gunicorn for hours. So its socket is taken out of Gunicorn's hands, as libraries for
WebSockets do, and one thread of the process serves them all: it watches the ledger while anybody listens, words each
change once for each kind of stream, and sends it to everybody. A viewer costs a socket.
"""

import logging
import os
import selectors
import socket
import sys
import threading
import time
import zlib
from collections import deque
from functools import cache, cached_property
from typing import Protocol

from flask import Response, request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger.database import Ledger, ledger
from webapp.problems import unavailable
from webapp.streaming.feed import Change, Feed

logger = logging.getLogger(__name__)

#: Seconds between two looks, and after one that found more changed jobs than anybody can read.
INTERVAL, BREATH = 0.25, 1.0
MANY = 20
#: Viewers told in one go, and seconds before the next ones: all at once they would hold up whoever submits a job.
HANDFUL, PAUSE = 10, 0.005
#: Seconds after which a thread that computes has to let others on; Python's own default is 5 ms.
SWITCH_INTERVAL = 0.0005
#: Seconds between signs of life on a quiet stream; shorter than Nginx's read timeout.
KEEP_ALIVE = 15.0
#: Bytes that a viewer may lag behind before it is left alone; it comes back and is told what it has missed.
LARGEST_LAG = 1_000_000

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Accel-Buffering: no\r\n"  # Nginx hands each event on at once
    b"Connection: close\r\n"
)
_RETRY = b"retry: 2000\n\n"
#: Of a gzip file (RFC 1952) without a name or a time.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class Kind(Protocol):
    """What a stream tells; one object may serve many viewers."""

    def opening(self, connection: Connection, last_event: float | None) -> bytes:
        """Return what a new viewer hears first; it heard its last event at that time, if ever."""

    def news(self, connection: Connection, change: Change) -> bytes:
        """Return what a look at the ledger has brought."""

    def over(self) -> bool:
        """Tell whether there will be no more news."""


def event(name: str, data: str) -> bytes:
    """Return the event of that name. Its id is a time in milliseconds."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"id: {int(time.time() * 1000)}\nevent: {name}\n{lines}\n".encode()


def open_stream(kind: Kind, *, compressed: bool = False) -> Response:
    """Answer the current request with a stream. Raises a 503 problem when as many are open as may be."""
    if request.method != "HEAD":
        streams().admit(kind, _last_event(), compressed)
    # Gunicorn sends this to nobody, unless it was only asked for the head.
    return Response(mimetype="text/event-stream", headers={"Cache-Control": "no-store"})


def _last_event() -> float | None:
    """Return the second in which the client was last told something, since the epoch."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) // 1000 if text.isascii() and text.isdigit() and len(text) < 16 else None


def _take_socket() -> socket.socket:
    """Take the connection of the current request away from Gunicorn, which is left with one that leads nowhere."""
    theirs: socket.socket = request.environ["gunicorn.socket"]
    ours = socket.socket(fileno=os.dup(theirs.fileno()))
    left, right = socket.socketpair()
    with left, right:
        os.dup2(left.fileno(), theirs.fileno(), inheritable=False)
    ours.setblocking(False)
    return ours


class Words:
    """What is said to many: compressed once for all who want it so."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain

    @cached_property
    def compressed(self) -> bytes:
        """A piece of a gzip stream that refers to nothing before it, so that it fits into every stream."""
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return compressor.compress(self.plain) + compressor.flush(zlib.Z_FULL_FLUSH)


class Viewer:
    """The other end of a stream."""

    def __init__(self, kind: Kind, last_event: float | None, compressed: bool) -> None:
        self.kind = kind
        self.last_event = last_event
        self.socket = _take_socket()
        self.spoken_at = time.monotonic()
        self._compressed = compressed
        self.unsent = bytearray(_HEAD)
        self.unsent += b"Content-Encoding: gzip\r\n\r\n" + _GZIP_HEADER if compressed else b"\r\n"
        self.tell(Words(_RETRY))

    def tell(self, words: Words) -> bool:
        """Send what the socket takes, and keep the rest; return whether the viewer is still with us."""
        if words.plain:
            self.unsent += words.compressed if self._compressed else words.plain
            self.spoken_at = time.monotonic()
        try:
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            return len(self.unsent) < LARGEST_LAG
        except OSError:
            return False
        return True

    def listens(self) -> bool:
        """Tell whether the viewer is there, once its socket is readable: it has nothing to say but its farewell."""
        try:
            return self.socket.recv(4096) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


_STILL_HERE = Words(b": still here\n\n")
_NOTHING = Words(b"")


class Streams:
    """All streams of a process, and the thread that serves them."""

    def __init__(self, ledger: Ledger, limit: int) -> None:
        self._ledger = ledger
        self._limit = limit
        self._newcomers: deque[Viewer] = deque()
        self._viewers: set[Viewer] = set()
        self._anybody = threading.Condition()
        self._selector = selectors.DefaultSelector()
        # A request takes the interpreter's lock many times, and each time the serving thread may keep it this long.
        sys.setswitchinterval(SWITCH_INTERVAL)
        threading.Thread(target=self._run, name="streams", daemon=True).start()

    def admit(self, kind: Kind, last_event: float | None, compressed: bool) -> None:
        """Serve the client of the current request from now on."""
        with self._anybody:
            if len(self._viewers) + len(self._newcomers) >= self._limit:
                raise unavailable("As many streams are open as this server allows.", retry_after=5)
            self._newcomers.append(Viewer(kind, last_event, compressed))
            self._anybody.notify()

    def _run(self) -> None:
        while True:
            with self._anybody:
                self._anybody.wait_for(lambda: self._viewers or self._newcomers)
            try:
                with self._ledger.reading() as connection:
                    self._serve(connection)
            except SQLAlchemyError as error:
                logger.warning("changes cannot be followed, trying again: %s", error)
                time.sleep(BREATH)
            except Exception:
                logger.exception("streams are closed, and their viewers will come back")
                for viewer in [*self._viewers, *self._newcomers]:
                    self._dismiss(viewer)
                self._newcomers.clear()

    def _serve(self, connection: Connection) -> None:
        """Look and tell, as long as anybody listens."""
        feed = Feed(connection)
        while self._viewers or self._newcomers:
            change = feed.look()
            self._welcome(connection)
            self._spread(connection, change)
            self._attend(BREATH if change is None or len(change) > MANY else INTERVAL)

    def _welcome(self, connection: Connection) -> None:
        # After a restart they all come at once, and have all missed the same.
        openings: dict[tuple[Kind, float | None], Words] = {}
        while self._newcomers:
            viewer = self._newcomers[0]
            missed = (viewer.kind, viewer.last_event)
            if missed not in openings:
                openings[missed] = Words(viewer.kind.opening(connection, viewer.last_event))
            self._viewers.add(viewer)
            self._newcomers.popleft()
            self._selector.register(viewer.socket, selectors.EVENT_READ, viewer)
            self._tell(viewer, openings[missed])

    def _spread(self, connection: Connection, change: Change) -> None:
        news: dict[Kind, Words] = {}
        now = time.monotonic()
        for number, viewer in enumerate(list(self._viewers), start=1):
            if number % HANDFUL == 0:
                time.sleep(PAUSE)
            if viewer.kind not in news:
                news[viewer.kind] = Words(viewer.kind.news(connection, change))
            words = news[viewer.kind]
            if not words.plain and now - viewer.spoken_at > KEEP_ALIVE:
                words = _STILL_HERE
            if words.plain:
                self._tell(viewer, words)
            if viewer.kind.over() and not viewer.unsent:
                self._dismiss(viewer)

    def _attend(self, seconds: float) -> None:
        """Until the next look, find out who has left and who can take more of what is unsent."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for key, events in self._selector.select(left):
                viewer: Viewer = key.data
                if events & selectors.EVENT_READ and not viewer.listens():
                    self._dismiss(viewer)
                elif events & selectors.EVENT_WRITE:
                    self._tell(viewer, _NOTHING)

    def _tell(self, viewer: Viewer, words: Words) -> None:
        if viewer.tell(words):
            waits_for = selectors.EVENT_READ | (selectors.EVENT_WRITE if viewer.unsent else 0)
            self._selector.modify(viewer.socket, waits_for, viewer)
        else:
            self._dismiss(viewer)

    def _dismiss(self, viewer: Viewer) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self._selector.unregister(viewer.socket)
        viewer.socket.close()


@cache
def streams() -> Streams:
    """Return this process's streams; their thread starts with the first viewer, hence after Gunicorn's fork."""
    return Streams(ledger(), int(os.environ.get("WEB_STREAMS", "500")))
