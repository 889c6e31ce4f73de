"""What Flower knows of Warren: the address of the broker. It has no tasks and no ledger."""

import atexit

from celery import Celery

from jobs.settings import settings

app = Celery("observer", broker=settings().broker_url)
app.conf.broker_connection_timeout = 3


@atexit.register
def _no_more_events() -> None:
    """Tell the workers that nobody listens any more. Flower has told them, every few seconds, to send events."""
    app.control.disable_events()
