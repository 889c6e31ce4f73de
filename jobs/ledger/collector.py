"""What the ledger says of the whole stack, for Prometheus: looked up at the moment at which somebody asks."""

import os
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from jobs import __version__
from jobs.catalogue import QUEUES
from jobs.ledger import pauses, queries, samples, workers
from jobs.ledger.database import Ledger
from jobs.settings import settings
from jobs.states import RUNNING


class LedgerCollector(Collector):
    """Yields the figures of one ledger. One that cannot be read has few of them, and ``warren_ledger_up`` is 0."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look everything up."""
        build = GaugeMetricFamily("warren_build_info", "The version of Warren; always 1.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        try:
            with self._ledger.reading() as connection:
                found = [*_jobs(connection), *_processes(connection)]
                if self._ledger.file is None:
                    found.append(_size(queries.size_on_server(connection)))
        except SQLAlchemyError:
            found = []
        yield GaugeMetricFamily("warren_ledger_up", "Whether the ledger can be read.", value=bool(found))
        yield from found
        yield from self._disk()

    def _disk(self) -> Iterator[GaugeMetricFamily]:
        """Yield the sizes of SQLite's files and of their disk; what a server has is seen there."""
        file = self._ledger.file
        if file is None or not file.exists():
            return
        disk = os.statvfs(file)
        log = file.with_name(f"{file.name}-wal")
        yield _size(file.stat().st_size)
        for name, help_, value in (
            ("warren_ledger_wal_bytes", "Size of its write-ahead log.", log.stat().st_size if log.exists() else 0),
            ("warren_ledger_free_bytes", "Free space on its disk.", disk.f_bavail * disk.f_frsize),
            ("warren_ledger_disk_bytes", "Size of that disk.", disk.f_blocks * disk.f_frsize),
        ):
            yield GaugeMetricFamily(name, help_, value=value)


def _size(value: int) -> GaugeMetricFamily:
    return GaugeMetricFamily("warren_ledger_bytes", "Size of the ledger.", value=value)


def _jobs(connection: Connection) -> Iterator[GaugeMetricFamily]:
    unfinished = queries.unfinished_in_states(connection)
    scheduled = queries.scheduled(connection)
    running = sum(count for (state, _), count in unfinished.items() if state in RUNNING)
    paused = dict.fromkeys(pauses.paused(connection), 1)
    waits = {queue: queries.longest_wait(connection, queue) for queue in QUEUES if queue not in paused}
    outbox, outbox_age = queries.overdue(connection)
    backlog = {
        queue: sum(count for (_, of_queue), count in unfinished.items() if of_queue == queue) - scheduled.get(queue, 0)
        for queue in QUEUES
    }
    yield _per_queue("warren_backlog_jobs", "Jobs that run, or could run now.", backlog)
    yield _per_queue("warren_scheduled_jobs", "Jobs whose time has not come.", scheduled)
    yield _per_queue("warren_oldest_waiting_seconds", "How long the job that could run now has waited longest.", waits)
    yield _per_queue("warren_queue_paused", "Whether no job of the queue is started.", paused)
    yield GaugeMetricFamily("warren_running_jobs", "Jobs that run.", value=running)
    yield GaugeMetricFamily("warren_outbox_jobs", "Jobs that RabbitMQ should have been handed by now.", value=outbox)
    yield GaugeMetricFamily("warren_outbox_age_seconds", "How long the first of them is overdue.", value=outbox_age)


def _processes(connection: Connection) -> Iterator[GaugeMetricFamily]:
    living = workers.living(connection, settings().worker_lease)
    places = sum(worker.concurrency for worker in living)
    yield GaugeMetricFamily("warren_workers", "Workers that are alive.", value=len(living))
    yield GaugeMetricFamily("warren_worker_places", "Jobs that these can run at once.", value=places)
    seen = samples.newest_at(connection)
    if seen is not None:
        help_ = "When beat gave its last sign of life, in seconds since 1970."
        yield GaugeMetricFamily("warren_beat_last_tick_timestamp_seconds", help_, value=seen)


def _per_queue(name: str, help_: str, values: dict[str, int] | dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_, labels=["queue"])
    for queue in QUEUES:
        family.add_metric([queue], max(0, values.get(queue, 0)))
    return family
