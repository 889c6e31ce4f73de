"""The traceback of a run that has failed, as text for people: where in the job's own code the exception came from.

It has what the worker's log has of it, and no more: names of functions, lines of code, and what the exceptions say. The
values of variables are left out, because they may be secret.
"""

from pathlib import Path
from traceback import StackSummary, TracebackException

import billiard
import celery
import kombu

import jobs.task
from jobs.errors import storable

#: Most characters that are kept. The end says most: the exception itself is there.
LONGEST = 16_000
#: What stands where the beginning was left out.
CUT = "...\n"

#: Files and folders of what calls the job's own code.
_CALLERS = (*(f"{Path(library.__file__).parent}/" for library in (celery, kombu, billiard)), jobs.task.__file__)


def trace(error: BaseException) -> str | None:
    """Return the traceback of an exception, at most :data:`LONGEST` characters; ``None`` for one that was not raised.

    It begins with the first function of the job: those of Celery before it are the same for all jobs.
    """
    if error.__traceback__ is None:
        return None
    found = TracebackException.from_exception(error)
    found.stack = _without_callers(found.stack)
    return _bounded(storable("".join(found.format())))


def _without_callers(stack: StackSummary) -> StackSummary:
    """Leave out the first frames as long as they are Celery's; all stay if there are no others."""
    first = next((place for place, frame in enumerate(stack) if not frame.filename.startswith(_CALLERS)), 0)
    return StackSummary.from_list(stack[first:])


def _bounded(text: str) -> str:
    """Cut the beginning off at the end of a line, if the text is too long."""
    if len(text) <= LONGEST:
        return text
    end = text[len(CUT) - LONGEST :]
    whole = end.partition("\n")[2]
    return CUT + (whole or end)
