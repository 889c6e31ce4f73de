"""Bring the ledger's schema up to date: ``python -m jobs.commands.migrate``, which ``build.sh`` runs.

Also the place where a file system on which SQLite cannot work is found out: inside the container, since Docker Desktop
hides it from the host.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from jobs.ledger.database import Ledger
from jobs.settings import settings

#: File systems without the shared memory and locks that SQLite's WAL needs between containers.
UNSAFE_FILE_SYSTEMS = frozenset({"9p", "cifs", "fuse", "nfs", "nfs4", "smb3", "smbfs", "vboxsf", "virtiofs"})


def upgrade(ledger: Ledger) -> None:
    """Apply the migrations that the database has not seen, all in one transaction; a new SQLite file is made first."""
    ledger.create()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "ledger" / "migrations"))
    with ledger.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def file_system(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds ``path``, by the text of ``/proc/self/mountinfo`` (see proc(5))."""
    best, found = Path(), "unknown"
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount_point = Path(before.split()[4].replace("\\040", " "))
        if path.is_relative_to(mount_point) and len(mount_point.parts) >= len(best.parts):
            best, found = mount_point, after.split()[0]
    return found


def main() -> int:
    """Check the file system, then migrate; return the exit code."""
    url = make_url(settings().database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        kind = file_system(Path(url.database).resolve().parent, Path("/proc/self/mountinfo").read_text())
        if kind.partition(".")[0] in UNSAFE_FILE_SYSTEMS:
            print(
                f"error: the ledger's folder is on {kind}, where SQLite cannot share a file between containers\n\n"
                "Set DB_DIR to a folder on a local disk of Linux, or DATABASE_URL=postgresql+psycopg://...",
                file=sys.stderr,
            )
            return 1
    try:
        upgrade(Ledger(settings().database_url))
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
