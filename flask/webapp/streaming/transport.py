"""One subscriber's connection: an HTTP answer that does not end by itself, written without ever waiting.

Gunicorn would keep one of its threads busy for as long as a stream is open, which may be hours. So the connection is
taken away from Gunicorn, as libraries for WebSockets do, and a subscriber costs a socket instead of a thread.
"""

import os
import socket

from webapp.streaming.payload import GZIP_HEADER, Payload

#: Bytes that may wait for a slow reader. One that is further behind is disconnected: it connects again, and is then
#: told what it has missed.
LARGEST_BACKLOG = 1_000_000

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Accel-Buffering: no\r\n"  # Nginx passes each event on at once
    b"Connection: close\r\n"  # the body ends when the connection does
)


class Disconnected(Exception):
    """The subscriber has left, or it reads too slowly."""


def take_socket(theirs: socket.socket) -> socket.socket:
    """Take a connection away from Gunicorn. The socket object that Gunicorn has then leads nowhere."""
    ours = socket.socket(fileno=os.dup(theirs.fileno()))
    # gunicorn.conf.py holds an answer back until it is whole; events have to go out at once.
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    left, right = socket.socketpair()
    with left, right:
        os.dup2(left.fileno(), theirs.fileno(), inheritable=False)
    return ours


class Transport:
    """Sends payloads over a socket, as one HTTP answer."""

    def __init__(self, connection: socket.socket, *, compressed: bool) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._compressed = compressed
        self._unsent = bytearray(_HEAD)
        self._unsent += b"Content-Encoding: gzip\r\n\r\n" + GZIP_HEADER if compressed else b"\r\n"

    def fileno(self) -> int:
        """Return the socket's number, for a selector."""
        return self._socket.fileno()

    def has_unsent(self) -> bool:
        """Return whether something waits until the socket is writable."""
        return bool(self._unsent)

    def send(self, payload: Payload) -> None:
        """Send this after what is unsent. Raises :class:`Disconnected`."""
        self._unsent += payload.compressed if self._compressed else payload.plain
        self.send_unsent()

    def send_unsent(self) -> None:
        """Send as much as the socket takes now, and keep the rest. Raises :class:`Disconnected`."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            if len(self._unsent) > LARGEST_BACKLOG:
                raise Disconnected from None
        except OSError:
            raise Disconnected from None

    def check(self) -> None:
        """Find out why the socket is readable. Raises :class:`Disconnected` when the subscriber has left.

        A subscriber has nothing to say after its request; whatever it sends is ignored.
        """
        try:
            if not self._socket.recv(4096):
                raise Disconnected
        except BlockingIOError:
            pass
        except OSError:
            raise Disconnected from None

    def close(self) -> None:
        """Close the connection, which ends the answer."""
        self._socket.close()
