"""The streaming service of one web process: one thread that serves all subscribers.

While there is a subscriber, the thread looks at the ledger again and again. Each channel writes what has changed once,
and all subscribers of the channel are sent the same payload.
"""

import logging
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger.database import Ledger
from webapp.auth.actor import Actor
from webapp.streaming.channel import Channel
from webapp.streaming.feed import Change, Feed
from webapp.streaming.payload import KEEP_ALIVE, RETRY, Payload
from webapp.streaming.transport import Disconnected, Transport

logger = logging.getLogger(__name__)

#: Seconds between two looks; and after a look that found more than ``MANY`` changed jobs.
INTERVAL, LONG_INTERVAL = 0.25, 1.0
MANY = 20
#: Subscribers that are sent to without a pause, and the length of the pause in seconds. Requests are answered in the
#: pauses: Python runs one thread of a process at a time.
BATCH, BATCH_PAUSE = 10, 0.005
#: Seconds after which Python lets another thread run; its default is 0.005. A request needs its turn several times.
SWITCH_INTERVAL = 0.0005
#: Seconds without an event after which a comment is sent. Nginx ends a connection that is silent for 60 s.
KEEP_ALIVE_AFTER = 15.0
#: Seconds between two looks at whether the owners of streams are still let in.
CHECK_EVERY = 5.0


class TooManySubscribers(Exception):
    """As many streams are open as this process may have."""


class TooManyOfOne(Exception):
    """As many streams are open as one person or token may have in this process."""


@dataclass(eq=False)
class Subscriber:
    """A client that follows a channel."""

    channel: Channel
    #: When it was last told something before it came, in seconds since the epoch.
    last_event: float | None
    transport: Transport
    #: Whose stream it is, where people log in.
    owner: Actor | None = None
    #: ``time.monotonic()`` of the last payload.
    sent_at: float = field(default_factory=time.monotonic)

    def send(self, payload: Payload) -> None:
        """Send a payload. Raises :class:`Disconnected`."""
        self.sent_at = time.monotonic()
        self.transport.send(payload)


class StreamingService:
    """All subscribers of a process, and the thread that serves them."""

    def __init__(self, ledger: Ledger, limit: int, limit_of_one: int) -> None:
        """``limit``: the largest number of subscribers; ``limit_of_one``: that of one person or token."""
        self._ledger = ledger
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._checked_at = 0.0
        self._newcomers: deque[Subscriber] = deque()
        self._subscribers: set[Subscriber] = set()
        self._somebody_came = threading.Condition()
        self._selector = selectors.DefaultSelector()
        sys.setswitchinterval(SWITCH_INTERVAL)
        threading.Thread(target=self._run, name="streaming", daemon=True).start()

    def subscribe(
        self,
        channel: Channel,
        last_event: float | None,
        connect: Callable[[], Transport],
        owner: Actor | None = None,
    ) -> None:
        """Serve a new subscriber from now on, as long as its owner is let in.

        ``last_event`` is when it was last told something, in seconds since the epoch. ``connect`` is called if there is
        room for it. Raises :class:`TooManySubscribers` or :class:`TooManyOfOne` if not.
        """
        with self._somebody_came:
            if len(self._subscribers) + len(self._newcomers) >= self._limit:
                raise TooManySubscribers
            if owner is not None and self._streams_of(owner) >= self._limit_of_one:
                raise TooManyOfOne
            subscriber = Subscriber(channel, last_event, connect(), owner)
            with suppress(Disconnected):  # the thread will notice it as well
                subscriber.send(RETRY)  # the HTTP head goes out with it, even while the ledger cannot be read
            self._newcomers.append(subscriber)
            self._somebody_came.notify()

    def _streams_of(self, owner: Actor) -> int:
        everybody = chain(self._subscribers, self._newcomers)
        return sum(other.owner is not None and other.owner.who == owner.who for other in everybody)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._somebody_came:
                self._somebody_came.wait_for(lambda: self._subscribers or self._newcomers)
            try:
                with self._ledger.reading() as connection:
                    self._serve(connection)
            except SQLAlchemyError as error:
                logger.warning("changes cannot be followed, trying again: %s", error)
                time.sleep(LONG_INTERVAL)
            except Exception:
                logger.exception("all streams are closed; their subscribers will connect again")
                self._close_all()

    def _serve(self, connection: Connection) -> None:
        """Look and send, as long as there are subscribers."""
        feed = Feed(connection)
        # Who has been here since before the ledger failed may have missed changes, and is told to load the list again.
        self._publish(connection, None)
        while self._subscribers or self._newcomers:
            change = feed.look()
            self._dismiss()
            self._welcome_newcomers(connection)
            self._publish(connection, change)
            self._wait(LONG_INTERVAL if change is None or len(change) > MANY else INTERVAL)

    def _welcome_newcomers(self, connection: Connection) -> None:
        # After a restart all of them come at once, and most have missed the same.
        openings: dict[tuple[Channel, float | None], Payload] = {}
        while self._newcomers:
            newcomer = self._newcomers[0]
            missed = (newcomer.channel, newcomer.last_event)
            if missed not in openings:
                openings[missed] = Payload(newcomer.channel.opening(connection, newcomer.last_event))
            with self._somebody_came:  # so that nobody counts it twice
                self._subscribers.add(self._newcomers.popleft())
            self._selector.register(newcomer.transport, selectors.EVENT_READ, newcomer)
            self._send(newcomer, openings[missed])

    def _dismiss(self) -> None:
        """Close the streams of those who would not be let in any more: their session has ended, for instance."""
        if time.monotonic() < self._checked_at + CHECK_EVERY:
            return
        self._checked_at = time.monotonic()
        for subscriber in list(self._subscribers):
            if subscriber.owner is not None and not subscriber.owner.still_in():
                self._remove(subscriber)

    def _publish(self, connection: Connection, change: Change) -> None:
        """Send to each subscriber what its channel tells of this change."""
        news: dict[Channel, Payload] = {}
        for subscriber in self._in_batches():
            channel = subscriber.channel
            if channel not in news:
                news[channel] = Payload(channel.news(connection, change))
            if news[channel].plain:
                self._send(subscriber, news[channel])
            elif time.monotonic() - subscriber.sent_at > KEEP_ALIVE_AFTER:
                self._send(subscriber, KEEP_ALIVE)
            if channel.ended() and not subscriber.transport.has_unsent():
                self._remove(subscriber)

    def _in_batches(self) -> Iterator[Subscriber]:
        """Yield each subscriber, with a pause after each batch."""
        for number, subscriber in enumerate(list(self._subscribers), start=1):
            yield subscriber
            if number % BATCH == 0:
                time.sleep(BATCH_PAUSE)

    def _wait(self, seconds: float) -> None:
        """Wait until the next look. Meanwhile notice who has left, and send to slow readers what is unsent."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, events in self._selector.select(left):
                subscriber: Subscriber = key.data
                try:
                    if events & selectors.EVENT_READ:
                        subscriber.transport.check()
                    if events & selectors.EVENT_WRITE:
                        subscriber.transport.send_unsent()
                        self._watch(subscriber)
                except Disconnected:
                    self._remove(subscriber)

    def _send(self, subscriber: Subscriber, payload: Payload) -> None:
        try:
            if payload.plain:
                subscriber.send(payload)
            self._watch(subscriber)
        except Disconnected:
            self._remove(subscriber)

    def _watch(self, subscriber: Subscriber) -> None:
        """Watch for its farewell; while something is unsent, also for room to send it."""
        events = selectors.EVENT_READ
        if subscriber.transport.has_unsent():
            events |= selectors.EVENT_WRITE
        self._selector.modify(subscriber.transport, events, subscriber)

    def _remove(self, subscriber: Subscriber) -> None:
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
            self._selector.unregister(subscriber.transport)
            subscriber.transport.close()

    def _close_all(self) -> None:
        while self._newcomers:
            self._newcomers.popleft().transport.close()
        for subscriber in list(self._subscribers):
            self._remove(subscriber)
