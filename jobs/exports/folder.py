"""Exported files in a folder, where the ledger is in SQLite: workers write them, Nginx sends them."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from jobs.settings import settings


def path_of(job_id: str) -> Path:
    """Return where the file of an export is, or is going to be.

    Raises :class:`ValueError` for an id that is no UUID: what is in a file's name must not lead elsewhere.
    """
    if str(uuid.UUID(job_id)) != job_id:
        raise ValueError(f"not a job's id: {job_id!r}")
    return settings().exports_dir / f"{job_id}.csv"


def find(job_id: str) -> Path | None:
    """Return the file of an export, if there is one."""
    path = path_of(job_id)
    return path if path.is_file() else None


@contextmanager
def write(job_id: str, attempt: int) -> Iterator[TextIO]:
    """Yield a file to write. It gets its name when it is whole and on disk, and is removed if that fails.

    Raises :class:`OSError`, for instance when the disk is full.
    """
    path = path_of(job_id)
    for left_by_a_dead_run in path.parent.glob(f"{job_id}.*.part"):
        left_by_a_dead_run.unlink(missing_ok=True)
    part = path.with_suffix(f".{attempt}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def remove_expired() -> Iterator[bool]:
    """Go through the folder and delete the files that are older than ``EXPORT_EXPIRES``.

    Yields for each file whether it was deleted, so that the caller may stop at any file and go on later.
    """
    oldest = time.time() - settings().export_expires
    with os.scandir(settings().exports_dir) as files:
        for file in files:
            removed = False
            with suppress(FileNotFoundError):  # a file that a worker has just renamed or removed itself
                if file.name.endswith((".csv", ".part")) and file.stat().st_mtime < oldest:
                    os.unlink(file)
                    removed = True
            yield removed


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
