"""What a stream tells. Each kind of stream is a class with these three methods; its module also has the route."""

from typing import Protocol

from sqlalchemy import Connection

from webapp.streaming.feed import Change


class Channel(Protocol):
    """Writes the events of one stream. One channel may have many subscribers, and writes each event once for all.

    The methods return the text of events as bytes (see ``payload.event``), or ``b""`` if there is nothing to tell. They
    are called by one thread only, which all channels share, so they must not wait for anything but the ledger.
    """

    def opening(self, connection: Connection, last_event: float | None) -> bytes:
        """Return what a new subscriber is told first.

        ``last_event`` is when it was last told something, in seconds since the epoch; ``None`` if it comes for the
        first time.
        """

    def news(self, connection: Connection, change: Change) -> bytes:
        """Return what subscribers are told after a look at the ledger has found this change."""

    def ended(self) -> bool:
        """Return whether there will be no more news, so that the stream can end."""
