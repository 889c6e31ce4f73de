"""Put a backup in the place of what is there: ``python -m jobs.commands.restore``, which ``ops/restore.sh`` runs.

The backup comes on standard input. Before anything is replaced, it is unpacked into ``/db``, looked at, brought to
today's schema and made ready to run. Nobody may use the ledger while it is replaced, and RabbitMQ must begin empty
afterwards. Whatever interrupts this program, it can be run again.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import IO

from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from jobs.commands.backup import SECRETS, BadBackup, Contents, examine, unpack
from jobs.commands.migrate import upgrade
from jobs.exports import database
from jobs.ledger import copying, moves, workers
from jobs.ledger.database import Ledger
from jobs.ledger.schema import metadata
from jobs.settings import settings

#: Where there is room to unpack a backup if the ledger is not a file: ``DB_DIR``.
ROOM = Path("/db")


def prepare(stream: IO[bytes], folder: Path) -> Contents:
    """Unpack a backup into a new folder, and make its ledger one that the stack can begin with; return what is in it.

    Raises :class:`jobs.commands.backup.BadBackup` and :class:`OSError`.
    """
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was interrupted
    folder.mkdir(mode=0o700)
    unpack(stream, folder)
    contents = examine(folder)
    ledger = Ledger(f"sqlite:///{folder}/ledger.db")
    try:
        upgrade(ledger)
        revive(ledger)
    except CommandError as error:
        raise BadBackup(f"it was made by a newer Warren, {contents.about.warren}: {error}") from error
    except SQLAlchemyError as error:
        raise BadBackup(f"its ledger cannot be brought to today's schema: {error}") from error
    finally:
        ledger.dispose()  # the last connection takes the write-ahead log with it
    return contents


def revive(ledger: Ledger) -> None:
    """Make every job that has not ended run: who ran it is gone, and so are all messages about it.

    Jobs whose time has not come keep it.
    """
    with ledger.writing() as connection:
        workers.retire_all(connection, settings().max_deliveries)
        moves.mark_all_due(connection)


def replace_files(folder: Path, ledger: Ledger, exports: Path, secrets: Path) -> None:
    """Put the files that were prepared in place, before the ledger: so it is never there without them.

    In PostgreSQL exported files are a part of the ledger, and come with it.
    """
    for old in exports.iterdir():
        if old.suffix in (".csv", ".part"):
            old.unlink()
    places = {"secrets": secrets} if ledger.file is None else {"exports": exports, "secrets": secrets}
    for name, target in places.items():
        for file in (folder / name).glob("*"):
            part = target / f"{file.name}.part"
            shutil.copy2(file, part)
            part.rename(target / file.name)


def replace_ledger(folder: Path, ledger: Ledger) -> None:
    """Put the ledger that was prepared in place: as the new file, or with its rows in one transaction.

    Raises :class:`sqlalchemy.exc.SQLAlchemyError`.
    """
    if ledger.file is None:
        _replace_rows(folder, ledger)
        return
    # Before the new file is there: SQLite would take the old one's log for its own.
    for suffix in ("-wal", "-shm"):
        Path(f"{ledger.file}{suffix}").unlink(missing_ok=True)
    os.sync()
    (folder / "ledger.db").rename(ledger.file)
    os.sync()


def _replace_rows(folder: Path, ledger: Ledger) -> None:
    upgrade(ledger)
    file = Ledger(f"sqlite:///{folder}/ledger.db")
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    with file.reading() as source, ledger.writing() as target:
        target.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
        copying.copy(source, target)
        for exported in (folder / "exports").glob("*.csv"):
            with exported.open("rb") as content:
                database.restore(target, exported.stem, content, exported.stat().st_mtime)
    file.dispose()


def main() -> int:
    """Check or restore a backup, and print what is in it; return the exit code."""
    parser = argparse.ArgumentParser(prog="restore.sh", description="Restore a backup that comes on standard input.")
    parser.add_argument("--check", action="store_true", help="only look whether it can be restored")
    arguments = parser.parse_args()
    ledger = Ledger(settings().ledger_url)
    folder = (ledger.file.parent if ledger.file is not None else ROOM) / "restore"
    try:
        print(prepare(sys.stdin.buffer, folder))
        if not arguments.check:
            replace_files(folder, ledger, settings().exports_dir, SECRETS)
            replace_ledger(folder, ledger)
    except (BadBackup, OSError, SQLAlchemyError) as error:
        print(f"error: this backup cannot be restored: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
