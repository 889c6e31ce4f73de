"""How the Python containers log: each line is a JSON object. On a terminal, where a person reads, it is plain text.

Each line has ``time`` (ISO 8601, UTC), ``level`` and ``event``: a sentence, or a few fixed words with fields beside
them, told by :func:`tell`.
"""

import contextlib
import json
import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

#: Most jobs that one line names: so it is shorter than what a pipe takes in one piece.
MOST_JOBS = 40

_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode
_STANDARD_ERROR = 2

# Nothing of this is in a line of ours, and looking for it costs as much as writing one: see "Optimization" in Python's
# "Logging HOWTO".
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def tell(logger: logging.Logger, event: str, **fields: Any) -> None:
    """Log an event, with fields that programs can read: ``task_id`` and ``request_id``, for instance."""
    logger.info(event, extra={"fields": fields})


def tell_of_jobs(logger: logging.Logger, event: str, jobs: Sequence[tuple[str, str | None]], **fields: Any) -> None:
    """Log an event of many jobs, given by their ids and request ids, in a few lines."""
    for start in range(0, len(jobs), MOST_JOBS):
        tell(logger, event, **fields, jobs=dict(jobs[start : start + MOST_JOBS]))


class JsonLines(logging.Formatter):
    """Makes a JSON object of each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if fields:
            line.update(fields)
        else:
            line["logger"] = record.name
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


class PlainLines(logging.Formatter):
    """Makes a line for people, with the fields at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # the name of logging
        """Return the line without a traceback."""
        fields = getattr(record, "fields", {})
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in fields.items())])


class GatheredLines(logging.Handler):
    """Keeps lines until they are written together: each write costs more than a line, because Docker copies it thrice.

    ``first()`` is called when there is a line to write. What is left is written at the end of the program.
    """

    def __init__(self, first: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.setFormatter(formatter())
        self._first = first
        self._lines: list[bytes] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(self.format(record).encode() + b"\n")
        if len(self._lines) == 1:
            self._first()

    def flush(self) -> None:
        """Write the lines that there are."""
        self.acquire()
        lines, self._lines = self._lines, []
        self.release()
        with contextlib.suppress(OSError):  # a log that nobody takes must not stop the work
            for piece in _pieces(lines):
                os.write(_STANDARD_ERROR, piece)


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join whole lines to pieces that a pipe takes in one go, so that no other process writes in between."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > select.PIPE_BUF:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


def formatter() -> logging.Formatter:
    """Return what makes the lines of this process."""
    return PlainLines() if os.isatty(_STANDARD_ERROR) else JsonLines()


def install(level: int = logging.INFO) -> None:
    """Have all lines of this process written so, those of libraries, warnings and uncaught exceptions too."""
    handler = logging.StreamHandler(sys.__stderr__)
    handler.setFormatter(formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    # For loggers that pass nothing on and have no handler, like the one of Celery's pool.
    logging.lastResort = logging.StreamHandler(sys.__stderr__)
    logging.lastResort.setLevel(logging.WARNING)
    logging.lastResort.setFormatter(formatter())
    sys.excepthook = _uncaught
    threading.excepthook = lambda found: _uncaught(found.exc_type, found.exc_value, found.exc_traceback)


def _uncaught(kind: Any, error: Any, traceback: Any) -> None:
    logging.getLogger(__name__).critical("uncaught: %s", error, exc_info=(kind, error, traceback))
