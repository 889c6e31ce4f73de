"""The files of exports, where the ledger is in PostgreSQL: the tables ``export_file`` and ``export_chunk``.

A run of a job writes its file chunk by chunk, each in a short transaction. The file is there for others when its size
is. So no transaction is as long as a run, and what a dead run has left is never seen.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger.schema import export_chunk, export_file

#: Bytes of each chunk but the last one.
CHUNK = 256 * 1024


class FileLost(SQLAlchemyError):
    """Something of a file is gone that was written: somebody has removed it, or a crash of the database undid it."""


class Run(NamedTuple):
    """The run of a job that has written a file, or is just writing it."""

    job_id: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that is whole. It does not change any more, but goes when it has expired."""

    run: Run
    #: In bytes.
    size: int
    #: When it was whole, in seconds since the epoch.
    written_at: float


def begin(connection: Connection, run: Run) -> None:
    """Begin a file, which nobody finds yet."""
    connection.execute(insert(export_file).values(**run._asdict(), written_at=time.time()))


def add(connection: Connection, run: Run, number: int, data: bytes) -> None:
    """Write the next chunk. Raises :class:`FileLost` if the file was removed meanwhile.

    The row of the file is changed first: so whoever removes the file waits for this chunk, and removes it, too.
    """
    _touch(connection, run)
    connection.execute(insert(export_chunk).values(**run._asdict(), number=number, data=data))


def finish(connection: Connection, run: Run, size: int, written_at: float | None = None) -> None:
    """Let the file be found. Raises :class:`FileLost` if it is not whole.

    The commits of the chunks were not durable. So the database may have lost the last of them by a crash, and have been
    there again for the next one.
    """
    chunks = connection.execute(select(func.count()).select_from(export_chunk).where(_of(export_chunk, run)))
    if chunks.scalar_one() != -(-size // CHUNK):
        raise FileLost("The database has lost a part of the file.")
    _touch(connection, run, size=size, **({} if written_at is None else {"written_at": written_at}))


def find(connection: Connection, job_id: str) -> File | None:
    """Return the file of a job, if it has one that is whole."""
    return next(iter(_whole(connection, export_file.c.job_id == job_id)), None)


def whole(connection: Connection) -> list[File]:
    """Return all files that are whole, one for each job."""
    return _whole(connection)


def chunk(connection: Connection, file: File, number: int) -> bytes | None:
    """Return a chunk of a file, which is the first one for the number 0; ``None`` if it is gone."""
    wanted = and_(_of(export_chunk, file.run), export_chunk.c.number == number)
    return connection.execute(select(export_chunk.c.data).where(wanted)).scalar()


def earlier(connection: Connection, run: Run) -> list[Run]:
    """Return the earlier runs of the same job that have left something."""
    columns = export_file.c
    return _runs(connection, columns.job_id == run.job_id, columns.attempt < run.attempt)


def expired(connection: Connection, written_before: float) -> list[Run]:
    """Return the runs whose files were written, or written to, before that time, oldest first."""
    return _runs(connection, export_file.c.written_at < written_before)


def remove(connection: Connection, run: Run, limit: int) -> bool:
    """Delete up to so many chunks of a file, and the file with the last ones; return whether it is gone."""
    of_run = _of(export_chunk, run)
    some = select(export_chunk.c.number).where(of_run).limit(limit).scalar_subquery()
    if connection.execute(delete(export_chunk).where(of_run, export_chunk.c.number.in_(some))).rowcount == limit:
        return False
    connection.execute(delete(export_file).where(_of(export_file, run)))
    connection.execute(delete(export_chunk).where(of_run))  # written since by its run
    return True


def _of(table: Table, run: Run) -> ColumnElement[bool]:
    return and_(table.c.job_id == run.job_id, table.c.attempt == run.attempt)


def _touch(connection: Connection, run: Run, **values: float) -> None:
    statement = update(export_file).where(_of(export_file, run)).values({"written_at": time.time()} | values)
    if connection.execute(statement).rowcount == 0:
        raise FileLost("The file was removed while it was written.")


def _whole(connection: Connection, *wanted: ColumnElement[bool]) -> list[File]:
    columns = export_file.c
    statement = select(export_file).where(columns.size.is_not(None), *wanted).order_by(columns.attempt)
    # The file of the latest run, if a run that was given up has come to its end, too.
    latest = {row.job_id: row for row in connection.execute(statement)}
    return [File(run=Run(row.job_id, row.attempt), size=row.size, written_at=row.written_at) for row in latest.values()]


def _runs(connection: Connection, *wanted: ColumnElement[bool]) -> list[Run]:
    columns = export_file.c
    statement = select(columns.job_id, columns.attempt).where(*wanted).order_by(columns.written_at)
    return [Run(*row) for row in connection.execute(statement)]
