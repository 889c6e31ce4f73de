"""The files of exports: workers write them, people download them, the beat container removes them when they expire.

Where a file is kept follows from the ledger. With SQLite it is in a folder, from which Nginx sends it. With PostgreSQL
it is in the ledger, because the worker may be on another machine, which has no such folder. Then the folder may still
have files from before the move to PostgreSQL: they are found, too, until they expire.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import TextIO

from jobs.exports import database, folder
from jobs.ledger.database import ledger
from jobs.ledger.files import File


def name_of(job_id: str) -> str:
    """Return the path of an export's file, as the result of the job names it."""
    return str(folder.path_of(job_id))


def write(job_id: str, attempt: int) -> AbstractContextManager[TextIO]:
    """Yield a file to write. It can be found when it is whole and on disk, and leaves nothing if it fails.

    Raises :class:`OSError`, :class:`sqlalchemy.exc.SQLAlchemyError` and :class:`jobs.exports.database.TooLarge`.
    """
    if _in_ledger():
        return database.write(ledger(), job_id, attempt)
    return folder.write(job_id, attempt)


def find(job_id: str) -> File | Path | None:
    """Return the file of an export: from the ledger or from the folder; ``None`` if there is none any more."""
    return (database.find(ledger(), job_id) if _in_ledger() else None) or folder.find(job_id)


def remove_expired() -> Iterator[bool]:
    """Go through all files and delete those that are older than ``EXPORT_EXPIRES``.

    Yields after each step whether a file is gone by it, so that the caller may stop at any step and go on later.
    """
    return (
        chain(database.remove_expired(ledger()), folder.remove_expired()) if _in_ledger() else folder.remove_expired()
    )


def _in_ledger() -> bool:
    return ledger().file is None
