"""Parts of pages that are pushed to open pages as well: rows of the list of jobs, the panel of queues and workers."""

import time
from collections.abc import Sequence

from sqlalchemy import Connection

from jobs.catalogue import QUEUES
from jobs.ledger import queries, samples, workers
from jobs.ledger.records import Job
from jobs.settings import settings
from webapp.rendering import render

#: Seconds after which a sample is old. The beat container takes one every two seconds.
OLD_SAMPLE = 10.0


def rows_html(jobs: Sequence[Job]) -> str:
    """Return rows of the list of jobs."""
    return render("_rows.html", rows=jobs)


def panel_html(connection: Connection) -> str:
    """Return the panel: the newest sample of each queue, and what each worker runs."""
    newest = {sample.name: sample for sample in samples.since(connection, time.time() - OLD_SAMPLE)}
    registered = workers.registered(connection)
    alive = {worker.id for worker in registered if worker.alive(settings().worker_lease)}
    runs: dict[str | None, list[Job]] = {}
    for job in queries.running(connection):
        runs.setdefault(job.worker, []).append(job)
    places = sum(worker.concurrency for worker in registered if worker.id in alive)
    return render(
        "_panel.html",
        queues=[(name, newest.get(name)) for name in QUEUES],
        sampled=bool(newest),
        broker=all(sample.ready is not None for sample in newest.values()),
        workers=registered,
        alive=alive,
        runs=runs,
        overloaded=sum(sample.backlog for sample in newest.values()) > places,
    )
