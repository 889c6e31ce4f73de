"""The lines of a worker's log that tell when a job starts and ends.

They gather for a tenth of a second and are written together: Docker takes every write through three of its processes,
which together cost more than the line itself.
"""

import logging
from collections.abc import Callable

from jobs.app import app

#: Seconds for which lines may gather.
DELAY = 0.1

#: Told of each start and each end of a job.
logger = logging.getLogger("warren.jobs")
_stream = open(2, "w", buffering=1 << 16, encoding="utf-8", closefd=False)  # noqa: SIM115  # standard error, for good


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    def __init__(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        super().__init__(_stream)
        self._call_later = call_later
        self._waiting = False

    def flush(self) -> None:
        """Keep the line for a while: `StreamHandler` calls this after each."""
        if not self._waiting:
            self._waiting = True
            self._call_later(DELAY, self._write)

    def _write(self) -> None:
        self._waiting = False
        write()


def install(call_later: Callable[[float, Callable[[], None]], object]) -> None:
    """Have the lines written in the form of the rest of the log. ``call_later(seconds, function)`` calls a function."""
    lines = _Lines(call_later)
    lines.setFormatter(logging.Formatter(app.conf.worker_log_format))
    logger.addHandler(lines)
    logger.propagate = False
    # What Celery says of a job that ended well is told here.
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)


def write() -> None:
    """Write at once the lines that have gathered."""
    _stream.flush()
