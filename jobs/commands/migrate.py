"""Bring the ledger's schema up to date: ``python -m jobs.commands.migrate``, which ``build.sh`` runs."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger.database import Ledger, take_turn
from jobs.settings import settings

#: Where Alembic finds them.
MIGRATIONS = Path(__file__).parent.parent / "ledger" / "migrations"


def upgrade(ledger: Ledger, revision: str = "head") -> None:
    """Apply the migrations that the database has not seen, all in one transaction; a new SQLite file is made first.

    A ``revision`` other than the newest is for tests.
    """
    ledger.create()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with ledger.writing() as connection:
        take_turn(connection)  # another machine may be about to do the same
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def main() -> int:
    """Migrate; return the exit code."""
    url = make_url(settings().ledger_url)
    try:
        upgrade(Ledger(settings().ledger_url))
    except (OSError, SQLAlchemyError) as error:
        reason = getattr(error, "orig", None) or error
        print(
            f"error: the ledger's schema could not be brought up to date: {reason}\n\n"
            f"Is {url.render_as_string()} writable for this user, and is there room on the disk?",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
