"""The lines of a worker's log that tell when a job starts and ends.

They gather for a tenth of a second and are written together: Docker takes every write through three of its processes,
which together cost more than the line itself.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery import current_task
from celery.apps import worker as celery_worker

from jobs import logs
from jobs.settings import settings
from jobs.states import State

#: Seconds for which lines may gather.
DELAY = 0.1

#: What a run has come to.
WORDS = {
    State.SUCCESS: "succeeded",
    State.FAILURE: "failed",
    State.RETRY: "will be run again",
    State.REVOKED: "cancelled",
}

#: Told of each start and each end of a job.
_logger = logging.getLogger("warren.jobs")


def tell(event: str, **about: Any) -> None:
    """Tell what has become of a job that this worker has claimed; :func:`about` says which fields that needs."""
    logs.tell(_logger, event, **about, worker=settings().worker_name)


def about(context: Any) -> dict[str, Any]:
    """Return which job and which run of it Celery's context of a task belongs to."""
    return {
        "task_id": context.id,
        "task_type": context.task,
        "attempt": context.get("attempt"),
        "request_id": context.get("request_id"),
    }


def install(call_later: Callable[[float, Callable[[], None]], object]) -> None:
    """Have the lines gathered. ``call_later(seconds, function)`` calls a function."""
    lines = logs.GatheredLines(lambda: call_later(DELAY, lines.flush))
    _logger.handlers[:] = [lines]
    _logger.propagate = False
    # What Celery says of a job that ended well is told here.
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
    # On a signal, Celery writes a sentence past the log.
    celery_worker.safe_say = lambda sentence, *_: logging.getLogger(__name__).info(sentence)


def write() -> None:
    """Write at once the lines that have gathered."""
    for handler in _logger.handlers:
        handler.flush()


def name_the_job() -> None:
    """In a pool process: have what a task logs by itself say which job it is about."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_name_the_job)


def _name_the_job(record: logging.LogRecord) -> bool:
    if current_task:
        record.fields = {**about(current_task.request), "logger": record.name}
    return True
