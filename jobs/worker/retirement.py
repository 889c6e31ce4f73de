"""Retiring a worker: after SIGUSR2 it takes no more jobs, gives back those that it has only fetched, and ends when
those that run are over.

``docker stop`` is for when it has to be quick: from SIGTERM on Celery's event loop stands still, and what is not over
within seconds is put back and runs a second time. A worker that is being retired goes on as usual with what it runs.
"""

import logging
import os
import signal
import threading
from types import FrameType
from typing import Any

from celery.worker import state

from jobs.settings import settings

logger = logging.getLogger(__name__)

#: Docker sends it: ``docker kill --signal USR2``. It does not start the container again when it ends after that.
SIGNAL = signal.SIGUSR2

_asked = False
_took_last = False


def install() -> None:
    """Listen to the signal, in the main process of a worker."""
    signal.signal(SIGNAL, _on_signal)


def asked() -> bool:
    """Tell whether this worker is being retired."""
    return _asked


def took_last() -> bool:
    """Tell whether no message comes any more."""
    return _took_last


def _on_signal(_signal: int, _frame: FrameType | None) -> None:
    global _asked
    if not _asked:
        _asked = True
        # What runs longer than that is put back: some jobs have no time limit.
        timer = threading.Timer(settings().retire_timeout, leave)
        timer.daemon = True
        timer.start()


def take_no_more(controller: Any) -> None:
    """Stop taking messages, and give back those that no process is kept for. Called by the event loop's thread.

    It may be called again, since it stops short where the connection is lost.
    """
    global _took_last
    consumer = controller.consumer
    if consumer.task_consumer is None:
        return
    for queue in tuple(consumer.app.amqp.queues.consume_from):
        consumer.cancel_task_queue(queue)
    controller.semaphore.clear()  # those in the line for a process
    fetched = [request for request in tuple(state.reserved_requests) if not request.chosen]
    for request in fetched:
        request.give_back()
    if fetched:
        logger.info("retiring: %d jobs that were only fetched are given back", len(fetched))
    _took_last = True


def leave() -> None:
    """End this worker. What still runs has the seconds of a usual stop."""
    os.kill(os.getpid(), signal.SIGTERM)
