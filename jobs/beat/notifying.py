"""Sends notices: one thread of the beat container for each channel, so that neither waits for the other.

See :mod:`jobs.ledger.notices` for what a crash leaves. A notice that the receiver does not take is tried again until it
does; meanwhile what else happens for the same reason gathers for the next notice.
"""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from jobs.beat.channels import SEND, NotSent
from jobs.ledger import notices
from jobs.ledger.database import ledger
from jobs.ledger.notices import Delivery
from jobs.settings import settings

logger = logging.getLogger(__name__)

#: Seconds between two looks.
INTERVAL = 1.0
#: Most seconds until a notice is tried again. The wait doubles with each try.
LONGEST_BACKOFF = 60.0


class Notifier:
    """Sends the notices of one channel."""

    def __init__(self, channel: str, send: Callable[[Delivery], None], now: Callable[[], float] = time.time) -> None:
        self._channel = channel
        self._send = send
        self._now = now

    def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            try:
                self.send_due()
            except SQLAlchemyError as error:
                logger.warning("notices cannot be read or noted: %s", error)
            except Exception:
                logger.exception("the sender of notices stumbled")
            time.sleep(INTERVAL)

    def send_due(self) -> None:
        """Send what is due, until nothing is, or the receiver does not take it."""
        while (delivery := self._take()) is not None:
            try:
                self._send(delivery)
            except NotSent as reason:
                wait = min(LONGEST_BACKOFF, 2.0**delivery.tries)
                logger.warning("%s: notice %s is tried again in %g s: %s", delivery.reason, delivery.id, wait, reason)
                with ledger().writing() as connection:
                    notices.put_off(connection, self._channel, delivery, self._now() + wait)
                return
            with ledger().writing() as connection:
                notices.told(connection, self._channel, delivery, self._now())
            logger.info("%s: notice %s sent by %s", delivery.reason, delivery.id, self._channel)

    def _take(self) -> Delivery | None:
        with ledger().reading() as connection:
            if not notices.is_due(connection, self._channel, self._now()):
                return None
        with ledger().writing() as connection:
            return notices.take(connection, self._channel, self._now(), settings().stack)


def start_sending() -> None:
    """Start the threads, one for each channel that is switched on."""
    channels = settings().notice_channels
    try:
        with ledger().writing(durable=False) as connection:
            notices.forget(connection, channels)
    except SQLAlchemyError as error:
        logger.warning("notices of channels that are switched off could not be removed: %s", error)
    for channel in channels:
        notifier = Notifier(channel, SEND[channel])
        threading.Thread(target=notifier.run, name=f"notices by {channel}", daemon=True).start()
