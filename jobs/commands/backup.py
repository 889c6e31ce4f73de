"""Copy ledger, exported files and secrets into one file: ``python -m jobs.commands.backup``, for ``ops/backup.sh``.

The file is a gzipped tar. In this order it holds:

- ``about.json``: see :class:`About`;
- ``ledger.db``: the whole ledger as it was at one moment, as a file of SQLite, also where it is in PostgreSQL. So a
  backup can be restored into either;
- ``exports/``: the exported files, also those in PostgreSQL. They are read after the ledger, so that a job that has
  ended in it has its file;
- ``secrets/``: passwords, and the address of the mail server.

Then the file is opened again, as :mod:`jobs.commands.restore` does it: a backup that was never opened is none.
"""

import argparse
import gzip
import io
import json
import os
import shutil
import stat
import sys
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO

import pysqlite3.dbapi2
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from jobs import __version__
from jobs.commands.migrate import upgrade
from jobs.exports import database
from jobs.ledger import copying
from jobs.ledger.database import Ledger
from jobs.settings import settings

#: What this version of Warren writes, and the newest that it can read.
FORMAT = 1

#: Where ``ops/containers.sh`` mounts the secrets of the stack, and an empty folder to work in.
SECRETS, WORK = Path("/secrets"), Path("/backup")

#: What stays behind: marks of whose a folder is, and the ledger's address, which is a setting of the place where it is.
LEFT_OUT = (".stack", "database_url")

#: Between small files and fast ones. The ledger is mostly text, and gets about five times as small.
COMPRESSION = 6


class BadBackup(Exception):
    """A file that cannot be restored; the text says why, in one plain sentence."""


@dataclass(frozen=True, kw_only=True)
class About:
    """Where a backup comes from."""

    #: The layout of the file, see :data:`FORMAT`.
    format: int
    #: The version of Warren that made it.
    warren: str
    #: The ``PREFIX`` of the stack.
    stack: str
    #: ISO 8601, UTC.
    made_at: str


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What was found in a backup that was opened."""

    about: About
    jobs: int
    #: Those of them that had not ended.
    unfinished: int
    files: int
    secrets: int

    def __str__(self) -> str:
        return (
            f"stack {self.about.stack}, {self.about.made_at}, Warren {self.about.warren}: {self.jobs} jobs, "
            f"{self.unfinished} of them not ended; {self.files} exported files; {self.secrets} secrets"
        )


# --- making -----------------------------------------------------------------------------------------------------------


def copy_ledger(ledger: Ledger, copy: Path) -> None:
    """Copy the ledger as it is at one moment into a file of SQLite. No writer waits meanwhile.

    Raises :class:`BadBackup`, and what the databases raise.
    """
    if ledger.file is not None:
        # In one step, which is one read transaction: a copy in several steps begins anew whenever somebody writes.
        with (
            closing(pysqlite3.dbapi2.connect(f"file:{ledger.file}?mode=rw", uri=True)) as source,
            closing(pysqlite3.dbapi2.connect(copy)) as target,
        ):
            source.backup(target)
    else:
        _copy_rows(ledger, Ledger(f"sqlite:///{copy}"))
        Path(f"{copy}.lock").unlink()  # of its writers
    with closing(pysqlite3.dbapi2.connect(copy)) as target:
        target.execute("PRAGMA journal_mode = DELETE")  # all of it in one file, and no write-ahead log beside


def _copy_rows(ledger: Ledger, file: Ledger) -> None:
    upgrade(file)
    with ledger.reading() as connection:
        # Each statement sees what the first one saw.
        source = connection.execution_options(isolation_level="REPEATABLE READ")
        with source.begin(), file.writing(durable=False) as target:
            if copying.revision(source) != copying.revision(target):
                raise BadBackup("the ledger's schema is not that of this version: run ./build.sh first")
            copying.copy(source, target)
    file.dispose()


def pack(target: Path, stack: str, members: Iterable[tuple[Path, str]]) -> None:
    """Write the file of a backup: of each member the file and its name there. Raises :class:`OSError`."""
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    about = About(format=FORMAT, warren=__version__, stack=stack, made_at=made_at)
    with tarfile.open(target, "w:gz", compresslevel=COMPRESSION) as archive:
        content = json.dumps(asdict(about)).encode()
        info = tarfile.TarInfo("about.json")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
        for file, name in members:
            # Opened first: a file that has been replaced or removed since is still whole here.
            with suppress(FileNotFoundError), file.open("rb") as opened:
                status = os.fstat(opened.fileno())
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.mode = status.st_size, status.st_mtime, stat.S_IMODE(status.st_mode)
                archive.addfile(info, opened)


def _named(folder: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of a folder, and their names in the backup; what is just being written is left out."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix != ".part" and not file.name.startswith(LEFT_OUT):
            yield file, f"{name}/{file.name}"


def _in_ledger(ledger: Ledger, copy: Path) -> Iterator[tuple[Path, str]]:
    """Yield the exported files that are in PostgreSQL, one after the other as the same ``copy``, and their names.

    A file that expires meanwhile is left out.
    """
    if ledger.file is not None:
        return
    for file in database.whole(ledger):
        with suppress(FileNotFoundError):
            with copy.open("wb") as opened:
                opened.writelines(database.read(ledger, file))
            os.utime(copy, (file.written_at, file.written_at))
            yield copy, f"exports/{file.run.job_id}.csv"
    copy.unlink(missing_ok=True)


# --- opening ----------------------------------------------------------------------------------------------------------


def unpack(stream: IO[bytes], folder: Path) -> None:
    """Write the files of a backup into an empty folder.

    Raises :class:`BadBackup` for a damaged file or for one that is something else, and :class:`OSError`.
    """
    try:
        with gzip.open(stream) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as archive:
                archive.extractall(folder, filter="data")
            while plain.read(1 << 20):  # to its end, where the checksum is
                pass
    except gzip.BadGzipFile as error:
        raise BadBackup("it is damaged, or not a backup at all") from error
    except (EOFError, zlib.error, tarfile.TarError) as error:
        raise BadBackup("it is damaged, or a part of it is missing") from error


def examine(folder: Path) -> Contents:
    """Look at a backup that was unpacked. Raises :class:`BadBackup`."""
    try:
        about = About(**json.loads((folder / "about.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise BadBackup("it was not made by ops/backup.sh, or by a newer Warren") from error
    if about.format > FORMAT:
        raise BadBackup(f"it was made by a newer Warren, {about.warren}; this one is {__version__}")
    try:
        with closing(pysqlite3.dbapi2.connect(f"file:{folder}/ledger.db?mode=ro", uri=True)) as ledger:
            fault = next((line for (line,) in ledger.execute("PRAGMA integrity_check") if line != "ok"), None)
            (jobs,) = ledger.execute("SELECT count(*) FROM job").fetchone()
            (unfinished,) = ledger.execute("SELECT count(*) FROM job WHERE ended_at IS NULL").fetchone()
    except pysqlite3.dbapi2.Error as error:
        fault = str(error)
    if fault is not None:
        raise BadBackup(f"the ledger in it is broken: {fault}")
    files, secrets = (len(list((folder / name).glob("*"))) for name in ("exports", "secrets"))
    return Contents(about=about, jobs=jobs, unfinished=unfinished, files=files, secrets=secrets)


# --- the program ------------------------------------------------------------------------------------------------------


def back_up(stack: str, ledger: Ledger, exports: Path, secrets: Path, work: Path) -> Contents:
    """Make ``backup.tar.gz`` in the empty folder ``work``; return what is in it.

    Raises :class:`BadBackup` if what was made is not good, and :class:`OSError`, for instance for a full disk.
    """
    size = _size(ledger)
    if shutil.disk_usage(work).free < 2 * size:
        # Others may need the same disk, the living ledger above all.
        raise OSError(f"the disk is too full: a copy of the ledger and its backup may need {2 * size >> 20} MB")
    copy, target, opened = work / "ledger.db", work / "backup.tar.gz", work / "opened"
    copy_ledger(ledger, copy)
    files = chain(_named(exports, "exports"), _in_ledger(ledger, work / "export.csv"))
    pack(target, stack, chain([(copy, "ledger.db")], files, _named(secrets, "secrets")))
    copy.unlink()
    with target.open("rb") as stream:
        unpack(stream, opened)
    contents = examine(opened)
    shutil.rmtree(opened)
    return contents


def _size(ledger: Ledger) -> int:
    """Return how many bytes the ledger has on the disk."""
    if ledger.file is not None:
        return sum(file.stat().st_size for file in ledger.file.parent.glob(f"{ledger.file.name}*"))
    with ledger.reading() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def main() -> int:
    """Make a backup, and print what is in it; return the exit code."""
    parser = argparse.ArgumentParser(prog="backup.sh", description="Make backup.tar.gz of this stack in /backup.")
    parser.add_argument("stack", help="the PREFIX of the stack")
    arguments = parser.parse_args()
    ledger = Ledger(settings().ledger_url)
    try:
        print(back_up(arguments.stack, ledger, settings().exports_dir, SECRETS, WORK))
    except (BadBackup, OSError, SQLAlchemyError, pysqlite3.dbapi2.Error) as error:
        print(
            f"error: no backup could be made: {error}\n\nIs there a ledger, is the disk not full, "
            "and is this the user who ran ./build.sh?",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
