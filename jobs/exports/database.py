"""Exported files in the ledger, where that is PostgreSQL: they are reachable from every machine."""

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TextIO

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from jobs.errors import JobFailed
from jobs.ledger import files
from jobs.ledger.database import Ledger
from jobs.ledger.files import CHUNK, File, Run
from jobs.settings import settings

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Most bytes of a file: 1 GB.
LARGEST = 1 << 30
#: Chunks that are deleted in one transaction.
STEP = 32


class TooLarge(JobFailed):
    """A file with more than :data:`LARGEST` bytes."""

    def __init__(self) -> None:
        super().__init__(f"The file would have more than {LARGEST >> 30} GB. Export fewer to-dos at a time.")


@contextmanager
def write(ledger: Ledger, job_id: str, attempt: int) -> Iterator[TextIO]:
    """Yield a file to write. It is found when it is whole, and removed if that fails; what earlier runs left goes.

    Raises :class:`TooLarge` and :class:`sqlalchemy.exc.SQLAlchemyError`.
    """
    run = Run(job_id, attempt)
    with ledger.reading() as connection:
        left = files.earlier(connection, run)
    for _ in _remove(ledger, left):
        pass
    with ledger.writing(durable=False) as connection:
        files.begin(connection, run)
    try:
        with closing(_Chunks(ledger, run)) as chunks:
            file = io.TextIOWrapper(chunks, encoding="utf-8", newline="")
            yield file
            file.flush()
            chunks.finish()
    except BaseException:
        with suppress(SQLAlchemyError):  # then it goes when it has expired
            for _ in _remove(ledger, [run]):
                pass
        raise


def find(ledger: Ledger, job_id: str) -> File | None:
    """Return the file of an export, if there is one."""
    with ledger.reading() as connection:
        return files.find(connection, job_id)


def whole(ledger: Ledger) -> list[File]:
    """Return all files that can be downloaded."""
    with ledger.reading() as connection:
        return files.whole(connection)


def read(ledger: Ledger, file: File, start: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a file from that place on. Each chunk is read when it is asked for, by a query of its own.

    So a slow reader keeps no connection. Raises :class:`FileNotFoundError` if the file has expired meanwhile.
    """
    while start < file.size:
        number, skip = divmod(start, CHUNK)
        with ledger.reading() as connection:
            data = files.chunk(connection, file, number)
        if data is None:
            raise FileNotFoundError(f"The file of the export {file.run.job_id} has expired.")
        yield data[skip:]
        start = (number + 1) * CHUNK


def remove_expired(ledger: Ledger) -> Iterator[bool]:
    """Delete the files that are older than ``EXPORT_EXPIRES``; yield after each step whether a file is gone by it."""
    with ledger.reading() as connection:
        expired = files.expired(connection, time.time() - settings().export_expires)
    return _remove(ledger, expired)


def restore(connection: Connection, job_id: str, source: BinaryIO, written_at: float) -> None:
    """Copy a file from a backup into the ledger. An export that runs again then replaces it."""
    run, size = Run(job_id, 0), 0
    files.begin(connection, run)
    for number, data in enumerate(iter(partial(source.read, CHUNK), b"")):
        files.add(connection, run, number, data)
        size += len(data)
    files.finish(connection, run, size, written_at)


def _remove(ledger: Ledger, runs: Iterable[Run]) -> Iterator[bool]:
    for run in runs:
        gone = False
        while not gone:
            with ledger.writing(durable=False) as connection:
                gone = files.remove(connection, run, STEP)
            yield gone


class _Chunks(io.BufferedIOBase):
    """Takes bytes, and writes them into the ledger whenever they fill a chunk."""

    def __init__(self, ledger: Ledger, run: Run) -> None:
        self.name = f"export {run.job_id}"
        self._ledger = ledger
        self._run = run
        self._number = 0
        self._rest = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        """Take all of it. Raises what :func:`write` above does."""
        self._rest += data
        if self._size > LARGEST:
            raise TooLarge
        while len(self._rest) >= CHUNK:
            with self._ledger.writing(durable=False) as connection:
                files.add(connection, self._run, self._number, bytes(self._rest[:CHUNK]))
            del self._rest[:CHUNK]
            self._number += 1
        return memoryview(data).nbytes

    def finish(self) -> None:
        """Write what is left; now the file is whole, and on disk."""
        with self._ledger.writing() as connection:
            if self._rest:
                files.add(connection, self._run, self._number, bytes(self._rest))
            files.finish(connection, self._run, self._size)

    @property
    def _size(self) -> int:
        return self._number * CHUNK + len(self._rest)
