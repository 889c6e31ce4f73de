"""One subscriber's connection, with real sockets."""

import socket
import zlib
from collections.abc import Iterator

import pytest
from webapp.streaming import transport
from webapp.streaming.payload import Payload
from webapp.streaming.transport import Disconnected, Transport, take_socket

END_OF_HEAD = b"\r\n\r\n"
KILOBYTE = Payload(b"x" * 1000)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection: the server's and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=10)
        server, _ = listener.accept()
    with server, client:
        yield server, client


def receive(client: socket.socket, count: int) -> bytes:
    """Wait for so many bytes."""
    received = b""
    while len(received) < count:
        part = client.recv(count - len(received))
        assert part, f"ended after {len(received)} of {count} bytes"
        received += part
    return received


def receive_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def send_many(stream: Transport) -> None:
    """Send more than the system's own buffers hold."""
    for _ in range(100_000):
        stream.send(KILOBYTE)


def fill(stream: Transport) -> int:
    """Send until the socket takes no more; return how many payloads that were."""
    count = 0
    while not stream.has_unsent():
        stream.send(KILOBYTE)
        count += 1
    return count


def test_the_answer_is_a_head_and_what_is_sent(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    stream = Transport(server, compressed=False)
    stream.send(Payload(b"one "))
    stream.send(Payload(b"two"))
    stream.close()
    head, _, body = receive_all(client).partition(END_OF_HEAD)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/event-stream" in head
    assert b"Content-Encoding" not in head
    assert body == b"one two"


def test_a_compressed_answer_is_one_gzip_file(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    stream = Transport(server, compressed=True)
    for text in (b"one ", b"one ", b"two"):
        stream.send(Payload(text))
    stream.close()
    head, _, body = receive_all(client).partition(END_OF_HEAD)
    assert b"Content-Encoding: gzip" in head
    assert zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(body) == b"one one two"


def test_what_a_slow_reader_does_not_take_is_kept_in_order(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    stream = Transport(server, compressed=False)
    count = fill(stream)
    stream.send(Payload(b"last"))
    received = b""
    while stream.has_unsent():
        received += client.recv(65536)
        stream.send_unsent()
    stream.close()
    body = (received + receive_all(client)).partition(END_OF_HEAD)[2]
    assert body == KILOBYTE.plain * count + b"last"


def test_a_reader_who_is_too_far_behind_is_disconnected(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LARGEST_BACKLOG", 10_000)
    stream = Transport(sockets[0], compressed=False)
    with pytest.raises(Disconnected):
        send_many(stream)


def test_a_subscriber_who_is_there_stays_connected(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    stream = Transport(server, compressed=False)
    stream.check()
    client.sendall(b"something that nobody asked for")
    stream.check()
    stream.send(Payload(b"text"))
    assert receive(client, 8) == b"HTTP/1.1"


def test_a_subscriber_who_has_left_is_noticed(sockets: tuple[socket.socket, socket.socket]) -> None:
    server, client = sockets
    stream = Transport(server, compressed=False)
    client.close()
    with pytest.raises(Disconnected):
        stream.check()
    with pytest.raises(Disconnected):
        send_many(stream)


def test_a_taken_connection_is_no_longer_gunicorns(sockets: tuple[socket.socket, socket.socket]) -> None:
    theirs, client = sockets
    with take_socket(theirs):
        with pytest.raises(BrokenPipeError):
            theirs.sendall(b"what Gunicorn answers")
        theirs.close()
    assert receive_all(client) == b""


def test_a_taken_connection_stays_open_when_gunicorn_closes_its_own(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    theirs, client = sockets
    with take_socket(theirs) as ours:
        theirs.close()
        ours.sendall(b"text")
        assert receive(client, 4) == b"text"
