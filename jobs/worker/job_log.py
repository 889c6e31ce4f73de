"""The lines of a worker's log that tell when a job starts and ends.

One write for each turn of the event loop, instead of one for each line: Docker takes every write through three of its
processes, which together cost more than the line itself.
"""

import logging

from jobs.app import app

#: Told of each start and each end of a job; its lines stay in memory until :func:`write`.
logger = logging.getLogger("warren.jobs")
_stream = open(2, "w", buffering=1 << 16, encoding="utf-8", closefd=False)  # noqa: SIM115  # standard error, for good


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    def flush(self) -> None:
        """Keep the line: `StreamHandler` calls this after each."""


def install() -> None:
    """Have the lines written in the form of the rest of the log."""
    lines = _Lines(_stream)
    lines.setFormatter(logging.Formatter(app.conf.worker_log_format))
    logger.addHandler(lines)
    logger.propagate = False
    # What Celery says of a job that ended well is told here.
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)


def write() -> None:
    """Write the lines that have gathered."""
    _stream.flush()
