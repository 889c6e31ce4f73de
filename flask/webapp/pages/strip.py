"""The strip under the header of every page: how each part of the stack is."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from jobs.disks import nearly_full
from jobs.ledger import queries, samples
from jobs.ledger.records import QueueSample, Worker
from jobs.settings import settings
from webapp.rendering import duration

#: Seconds after which a sample is old. The beat container takes one every two seconds.
OLD_SAMPLE = 10.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the stack, and how it is in a few words."""

    name: str
    words: str
    well: bool


def parts(connection: Connection, newest: Sequence[QueueSample], registered: Sequence[Worker]) -> list[Part]:
    """Return how each part is; ``newest`` are the samples of the last seconds, if there are any."""
    return [
        _broker(connection, newest),
        _beat(connection, newest),
        _workers(connection, registered),
        *_ledger(connection),
    ]


def _broker(connection: Connection, newest: Sequence[QueueSample]) -> Part:
    name = "RabbitMQ"
    if not newest:
        return Part(name=name, words="unknown without beat", well=False)
    if all(sample.ready is not None for sample in newest):
        return Part(name=name, words="answers", well=True)
    return Part(name=name, words=_silent(samples.answered_at(connection)), well=False)


def _beat(connection: Connection, newest: Sequence[QueueSample]) -> Part:
    if newest:
        return Part(name="Beat", words="works", well=True)
    return Part(name="Beat", words=_silent(samples.newest_at(connection)), well=False)


def _workers(connection: Connection, registered: Sequence[Worker]) -> Part:
    living = [worker for worker in registered if worker.alive(settings().worker_lease)]
    if not living:
        seen = max((worker.seen_at for worker in registered), default=None)
        return Part(name="Workers", words=_silent(seen) if seen else "none", well=False)
    busy = sum(queries.running_by_worker(connection).values())
    places = sum(worker.concurrency for worker in living)
    return Part(name="Workers", words=f"{len(living)}, {busy} of {places} places taken", well=True)


def _ledger(connection: Connection) -> list[Part]:
    url = connection.engine.url
    if url.get_backend_name() != "sqlite" or url.database is None:
        return [Part(name="Ledger", words=_size(queries.size_on_server(connection)), well=True)]
    file = Path(url.database)
    written = sum(os.stat(path).st_size for path in (file, Path(f"{file}-wal")) if path.exists())
    disk = shutil.disk_usage(file.parent)
    return [
        Part(name="Ledger", words=_size(written), well=True),
        Part(name="Disk", words=f"{_size(disk.free)} free", well=not nearly_full(disk.free, disk.total)),
    ]


def _silent(since: float | None) -> str:
    return f"no answer for {duration(time.time() - since)}" if since is not None else "no answer"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
