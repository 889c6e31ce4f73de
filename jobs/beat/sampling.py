"""Records about every two seconds what the queues look like: a thread of the beat container.

So every viewer of the dashboard sees the same minutes, also those from before the page was opened. What is seen is also
what notices of the stack's health are made from.
"""

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from jobs.beat.health import HealthWatch
from jobs.beat.leadership import Leadership
from jobs.broker.sampler import Sampler
from jobs.ledger import samples
from jobs.ledger.database import ledger

logger = logging.getLogger(__name__)

#: Seconds between two recorded samples.
INTERVAL = 2.0


def start_recording(leadership: Leadership) -> None:
    """Start the thread. It records while this beat leads."""
    threading.Thread(target=_record, args=(leadership,), name="sampling", daemon=True).start()


def _record(leadership: Leadership) -> None:
    sampler, watch = None, HealthWatch()
    while True:
        try:
            if leadership.is_ours:
                sampler = sampler or Sampler()
                taken = sampler.sample()
                with ledger().writing(durable=False) as connection:
                    samples.record(connection, taken)
                watch.look(sampler.trouble, taken)
            else:
                sampler, watch = None, HealthWatch()
        except SQLAlchemyError as error:
            watch.ledger_failed()
            logger.warning("the queues cannot be recorded: %s", error)
        time.sleep(INTERVAL)
