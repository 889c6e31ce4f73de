"""Copy a ledger of SQLite into PostgreSQL: ``python -m jobs.commands.move_ledger FILE``.

The address of the PostgreSQL is that of the settings. Its tables are there already (:mod:`jobs.commands.migrate`), and
empty. All is copied in one transaction: whatever happens, the target has all of it or nothing, and the file stays as it
is. Warren's other writers are kept out of the file meanwhile; what they would write later, the copy would not have. So
all containers that use the file are stopped before.
"""

import argparse
import sys
import time
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger import copying
from jobs.ledger.database import Ledger, ledger, take_turn


class CannotMove(Exception):
    """Why a ledger is not copied: one plain sentence."""


def move(source: Ledger, target: Ledger) -> dict[str, int]:
    """Copy all rows; return how many each table has. Raises :class:`CannotMove` and :class:`SQLAlchemyError`."""
    with source.writing() as read, target.writing() as written:
        take_turn(written)
        before, wanted = copying.revision(read), copying.revision(written)
        if wanted is None:
            raise CannotMove("The new database has no tables yet. Make them with: python -m jobs.commands.migrate")
        if before != wanted:
            raise CannotMove(
                f"The schema of the file is {before or 'not one of Warren'}, that of the new database {wanted}. "
                "Bring the file up to date first: ./build.sh"
            )
        filled = [f"{name} ({rows:,})" for name, rows in copying.counts(written).items() if rows]
        if filled:
            raise CannotMove(f"The new database is not empty. It has rows in: {', '.join(filled)}.")
        copying.copy(read, written)
        here, there = copying.counts(read), copying.counts(written)
        if here != there:
            raise CannotMove(f"Not all rows have arrived, so nothing was copied: {here} are {there}.")
        return there


def main() -> int:
    """Move, and print what was copied; return the exit code."""
    parser = argparse.ArgumentParser(prog="move_ledger", description="Copy a ledger of SQLite into PostgreSQL.")
    parser.add_argument("file", type=Path, help="the file of SQLite, which nobody uses any more")
    file = parser.parse_args().file
    if not file.is_file():
        print(f"error: there is no file {file}\n\nThe ledger is usually /db/backend.db", file=sys.stderr)
        return 1
    target = ledger()
    if target.file is not None:
        print(
            "error: the ledger's address is a file of SQLite, too\n\n"
            "Give the address of a PostgreSQL in the secret file database_url, or in DATABASE_URL.",
            file=sys.stderr,
        )
        return 1
    source = Ledger(f"sqlite:///{file}")
    began = time.monotonic()
    try:
        copied = move(source, target)
    except (CannotMove, OSError, SQLAlchemyError) as error:
        print(f"error: the ledger was not copied: {getattr(error, 'orig', None) or error}", file=sys.stderr)
        return 1
    finally:
        source.dispose()
    for name, rows in copied.items():
        if rows:
            print(f"{name}: {rows:,}")
    print(f"copied: {sum(copied.values()):,} rows in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
