"""HTTP/2 as RFC 9113 has it, for tests that watch a server go.

A server that goes says GOAWAY: it still answers what it has taken, and everything else may be sent again. Browsers know
that. httpx fails in both cases, because the library h2 takes no more answers after a GOAWAY. So these are kept from it.
"""

import socket
import ssl
from contextlib import suppress
from typing import ClassVar

import httpx
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset

GOAWAY = 7
HEAD = 9  # bytes before the payload of a frame


class Http2(httpx.BaseTransport):
    """Lets a client of httpx send one request after the other over a connection, and over a new one if it has to."""

    #: What HTTP/2 has no place for.
    LEFT_OUT: ClassVar[set[str]] = {"host", "connection", "transfer-encoding"}

    def __init__(self, context: ssl.SSLContext) -> None:
        """Trust whom the context trusts."""
        context.set_alpn_protocols(["h2"])
        self._context = context
        self._socket: ssl.SSLSocket | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer. Raises :class:`httpx.RemoteProtocolError`."""
        while True:
            if self._socket is None:
                self._connect(request.url)
            answer = self._ask(request)
            if self._last_taken is not None:
                self.close()
            if answer is not None:
                return answer

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, url: httpx.URL) -> None:
        connection = socket.create_connection((url.host, url.port or 443), timeout=30)
        self._socket = self._context.wrap_socket(connection, server_hostname=url.host)
        assert self._socket.selected_alpn_protocol() == "h2"
        self._h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._received = b""
        #: The last request that the server has taken, once it goes.
        self._last_taken: int | None = None

    def _ask(self, request: httpx.Request) -> httpx.Response | None:
        """Send a request; return its answer, or None if the server has gone without taking it."""
        stream, body = self._h2.get_next_available_stream_id(), request.read()
        headers = [(name, value) for name, value in request.headers.items() if name not in self.LEFT_OUT]
        pseudo = {":method": request.method, ":scheme": "https", ":path": request.url.raw_path.decode()}
        authority = {":authority": request.headers["Host"]}
        self._h2.send_headers(stream, [*pseudo.items(), *authority.items(), *headers], end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)
        self._flush()
        status, answer_headers, content = 0, httpx.Headers(), b""
        while self._last_taken is None or stream <= self._last_taken:
            for event in self._h2.receive_data(self._receive()):
                match event:
                    case ResponseReceived():
                        answer_headers = httpx.Headers(event.headers)
                        status = int(answer_headers.pop(":status"))
                    case DataReceived():
                        content += event.data
                        self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
                    case StreamEnded():
                        return httpx.Response(status, headers=answer_headers, content=content)
                    case StreamReset():
                        raise httpx.RemoteProtocolError(f"the request was reset: {event.error_code}")
            self._flush()
        return None

    def _flush(self) -> None:
        assert self._socket is not None
        with suppress(OSError):  # it may have gone; what it has said before can still be read
            self._socket.sendall(self._h2.data_to_send())

    def _receive(self) -> bytes:
        """Return what has come, in whole frames, without a GOAWAY."""
        assert self._socket is not None
        data = self._socket.recv(65536)
        if not data:
            self.close()
            raise httpx.RemoteProtocolError(f"closed in stream {self._h2.highest_outbound_stream_id}, without a GOAWAY")
        self._received += data
        kept = b""
        while len(self._received) >= HEAD:
            size = HEAD + int.from_bytes(self._received[:3], "big")
            if len(self._received) < size:
                break
            frame, self._received = self._received[:size], self._received[size:]
            if frame[3] == GOAWAY:
                self._last_taken = int.from_bytes(frame[HEAD : HEAD + 4], "big")
            else:
                kept += frame
        return kept
