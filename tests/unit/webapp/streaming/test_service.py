"""The streaming service, with a real ledger and real sockets."""

import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from webapp.auth.actor import Actor
from webapp.streaming import service as service_module
from webapp.streaming import transport as transport_module
from webapp.streaming.feed import Change, Feed
from webapp.streaming.payload import Payload
from webapp.streaming.service import StreamingService, TooManyOfOne, TooManySubscribers
from webapp.streaming.transport import Transport

from jobs.ledger import moves
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Role

LIMIT = 30
#: Streams of one person.
LIMIT_OF_ONE = 2


class Ids:
    """A channel that tells the ids of changed jobs, and of one that is given, that it was the last."""

    last = ""
    #: Is added to each event, to make it long.
    padding = b""

    def __init__(self) -> None:
        self._ended = False

    def opening(self, _connection: Connection, last_event: float | None) -> bytes:
        return b"welcome back\n" if last_event else b"welcome\n"

    def news(self, _connection: Connection, change: Change) -> bytes:
        if change is None:
            return b"reload\n"
        self._ended = any(row.id == self.last for row in change)
        return b"".join(row.id.encode() + self.padding + b"\n" for row in change)

    def ended(self) -> bool:
        return self._ended


class Broken(Ids):
    """A channel with a mistake in it."""

    def news(self, _connection: Connection, change: Change) -> bytes:
        raise ValueError("a mistake")


class Client:
    """The other end of a stream."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        self.socket = connection
        self.received = b""

    def wait_for(self, text: str) -> bytes:
        """Read until this has come; return all that has come until now."""
        while text.encode() not in self.received:
            part = self.socket.recv(65536)
            assert part, f"the stream has ended: {self.received[-500:]!r}"
            self.received += part
        return self.received

    def wait_for_end(self) -> bytes:
        """Read until the stream ends; return all that has come."""
        with suppress(ConnectionResetError):
            while part := self.socket.recv(65536):
                self.received += part
        return self.received

    def count(self, text: str) -> int:
        return self.received.count(text.encode())


@pytest.fixture
def service(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> StreamingService:
    monkeypatch.setattr(service_module, "INTERVAL", 0.01)
    monkeypatch.setattr(service_module, "LONG_INTERVAL", 0.01)
    monkeypatch.setattr(service_module, "CHECK_EVERY", 0.01)
    return StreamingService(ledger, LIMIT, LIMIT_OF_ONE)


Subscribe = Callable[..., Client]


@pytest.fixture
def subscribe(service: StreamingService) -> Iterator[Subscribe]:
    """A function that makes a subscriber, and returns its client's end."""
    clients: list[Client] = []

    def subscribe(
        channel: Ids,
        last_event: float | None = None,
        *,
        compressed: bool = False,
        transport: type[Transport] = Transport,
        owner: Actor | None = None,
    ) -> Client:
        ours, theirs = socket.socketpair()
        client = Client(theirs)
        clients.append(client)
        try:
            service.subscribe(channel, last_event, lambda: transport(ours, compressed=compressed), owner)
        except (TooManySubscribers, TooManyOfOne):
            ours.close()
            raise
        return client

    yield subscribe
    # The thread must be done with the ledger before that is gone: it closes each socket that we stop writing to.
    for client in clients:
        client.socket.shutdown(socket.SHUT_WR)
        client.wait_for_end()
        client.socket.close()


def add_jobs(ledger: Ledger, count: int) -> list[str]:
    new = [NewJob(type="heavy", queue="heavy", params={}) for _ in range(count)]
    with ledger.writing(durable=False) as connection:
        for one in new:
            moves.add(connection, one)
    return [one.id for one in new]


def add_last_job(ledger: Ledger, channel: Ids) -> str:
    """Add a job with which the channel ends; return its id."""
    new = NewJob(type="heavy", queue="heavy", params={})
    channel.last = new.id
    with ledger.writing(durable=False) as connection:
        moves.add(connection, new)
    return new.id


def test_a_subscriber_is_told_the_opening_and_then_the_news(ledger: Ledger, subscribe: Subscribe) -> None:
    client = subscribe(Ids())
    client.wait_for("welcome")
    one, two = add_jobs(ledger, 2)
    text = client.wait_for(two).decode()
    places = [text.index(part) for part in ("HTTP/1.1 200", "retry: 2000", "welcome", one, two)]
    assert places == sorted(places)


def test_the_last_event_of_a_returning_subscriber_reaches_the_channel(subscribe: Subscribe) -> None:
    subscribe(Ids(), 1.0).wait_for("welcome back")


def test_all_subscribers_of_a_channel_are_told_the_same_plain_or_compressed(
    ledger: Ledger, subscribe: Subscribe
) -> None:
    channel = Ids()
    plain, compressed = subscribe(channel), subscribe(channel, compressed=True)
    plain.wait_for("welcome")
    add_last_job(ledger, channel)
    bodies = [client.wait_for_end().partition(b"\r\n\r\n")[2] for client in (plain, compressed)]
    assert channel.last.encode() in bodies[0]
    assert zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(bodies[1]) == bodies[0]


def test_a_stream_ends_with_its_channel(ledger: Ledger, subscribe: Subscribe) -> None:
    channel = Ids()
    client, other = subscribe(channel), subscribe(Ids())
    client.wait_for("welcome")
    last = add_last_job(ledger, channel)
    assert client.wait_for_end().endswith(last.encode() + b"\n")
    (another,) = add_jobs(ledger, 1)
    other.wait_for(another)


def test_there_is_room_for_so_many_and_for_another_when_one_leaves(
    service: StreamingService, subscribe: Subscribe
) -> None:
    clients = [subscribe(Ids()) for _ in range(LIMIT)]
    clients[0].wait_for("welcome")

    def connect() -> Transport:
        raise AssertionError("there is no room")

    with pytest.raises(TooManySubscribers):
        service.subscribe(Ids(), None, connect)
    clients[0].socket.shutdown(socket.SHUT_WR)
    clients[0].wait_for_end()  # the service has closed it, too
    deadline = time.monotonic() + 10
    while True:
        try:
            subscribe(Ids()).wait_for("welcome")
            return
        except TooManySubscribers:
            assert time.monotonic() < deadline


def test_a_slow_reader_is_let_go_and_the_others_are_told_everything(
    ledger: Ledger, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "LARGEST_BACKLOG", 100_000)
    channel = Ids()
    channel.padding = b"x" * 100_000
    slow, quick = subscribe(channel), subscribe(channel)
    quick.wait_for("welcome")
    ids = []
    for _ in range(20):
        ids += add_jobs(ledger, 1)
        quick.wait_for(ids[-1])
    slow.wait_for_end()
    assert slow.count("\n") < quick.count("\n")
    assert all(quick.count(one) == 1 for one in ids)


def test_a_reader_who_pauses_is_told_everything(ledger: Ledger, subscribe: Subscribe) -> None:
    channel = Ids()
    channel.padding = b"x" * 50_000
    pausing, quick = subscribe(channel), subscribe(channel)
    quick.wait_for("welcome")
    ids = []
    for _ in range(10):  # more than the socket's buffer holds, and less than the backlog
        ids += add_jobs(ledger, 1)
        quick.wait_for(ids[-1])
    pausing.wait_for(ids[-1])
    assert all(pausing.count(one) == 1 for one in ids)


def test_a_quiet_stream_is_kept_alive(subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "KEEP_ALIVE_AFTER", 0.05)
    client = subscribe(Ids())
    client.wait_for(": still here\n\n: still here\n\n")


def test_after_a_failure_of_the_ledger_the_list_is_to_be_loaded_again(
    ledger: Ledger, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = subscribe(Ids())
    client.wait_for("welcome")
    look = Feed.look

    def fail_once(_feed: Feed) -> Change:
        monkeypatch.setattr(Feed, "look", look)
        add_jobs(ledger, 1)  # the next feed knows this one already
        raise OperationalError("SELECT", None, Exception("the disk does not answer"))

    monkeypatch.setattr(Feed, "look", fail_once)
    client.wait_for("reload")
    (later,) = add_jobs(ledger, 1)
    client.wait_for(later)


def test_a_mistake_in_a_channel_ends_the_streams_and_the_next_ones_are_served(
    ledger: Ledger, subscribe: Subscribe
) -> None:
    good = subscribe(Ids())
    good.wait_for("welcome")
    subscribe(Broken()).wait_for_end()
    good.wait_for_end()
    client = subscribe(Ids())
    client.wait_for("welcome")
    (one,) = add_jobs(ledger, 1)
    client.wait_for(one)


def test_there_is_a_pause_after_each_batch(
    ledger: Ledger, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    class Logged(Transport):
        def send(self, payload: Payload) -> None:
            log.append("send")
            super().send(payload)

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: log.append("pause"))
    monkeypatch.setattr(service_module, "time", clock)
    clients = [subscribe(Ids(), transport=Logged) for _ in range(25)]
    for client in clients:
        client.wait_for("welcome")
    log.clear()
    (one,) = add_jobs(ledger, 1)
    for client in clients:
        client.wait_for(one)
    runs = [len(list(run)) for what, run in groupby(log) if what == "send"]
    assert sum(runs) == 25
    assert max(runs) <= service_module.BATCH


def person(who: str, let_in: list[bool]) -> Actor:
    return Actor(who=who, role=Role.VIEWER, token=None, still_in=lambda: let_in[0])


def test_one_person_has_so_many_streams_and_another_one_has_room(subscribe: Subscribe) -> None:
    for _ in range(LIMIT_OF_ONE):
        subscribe(Ids(), owner=person("ann", [True])).wait_for("welcome")
    with pytest.raises(TooManyOfOne):
        subscribe(Ids(), owner=person("ann", [True]))
    subscribe(Ids(), owner=person("ben", [True])).wait_for("welcome")


def test_a_stream_ends_when_its_owner_is_let_in_no_more(ledger: Ledger, subscribe: Subscribe) -> None:
    let_in = [True]
    client, other = subscribe(Ids(), owner=person("ann", let_in)), subscribe(Ids())
    client.wait_for("welcome")
    let_in[0] = False
    client.wait_for_end()
    (job_id,) = add_jobs(ledger, 1)
    other.wait_for(job_id)
