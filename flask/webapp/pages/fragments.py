"""Parts of pages, pushed to open pages as well: rows of the list of jobs, warnings, the panel of queues and workers."""

import time
from collections.abc import Sequence

from sqlalchemy import Connection

from jobs.catalogue import JOB_TYPES, QUEUES
from jobs.ledger import pauses, queries, samples, workers
from jobs.ledger.records import Job, QueueSample
from jobs.settings import settings
from jobs.states import State
from webapp.pages import strip
from webapp.paging import cursor_after
from webapp.rendering import render

#: Kinds of jobs that act on others.
CONTROLS = {name for name, job_type in JOB_TYPES.items() if job_type.control}


def rows_html(jobs: Sequence[Job]) -> str:
    """Return rows of the list of jobs."""
    return render("_rows.html", rows=jobs, cursor=cursor_after)


def following_html(job: Job, close: str) -> str:
    """Return how a job stands that the viewer has just asked for; ``close`` is the address of the page without it."""
    undo = job.state is State.PENDING and job.type in CONTROLS
    return render("_following.html", row=job, undo=undo, close=close)


def around_html(connection: Connection) -> dict[str, str]:
    """Return what stands over the content of all pages, by id: the strip, and what to say while something is wrong."""
    newest = newest_samples(connection)
    registered = workers.registered(connection)
    return {
        "trouble": render(
            "_trouble.html",
            sampled=bool(newest),
            broker=all(sample.ready is not None for sample in newest.values()),
            alive=any(worker.alive(settings().worker_lease) for worker in registered),
            paused=sorted(pauses.paused(connection)),
        ),
        "health": render("_health.html", parts=strip.parts(connection, list(newest.values()), registered)),
    }


def panel_html(connection: Connection) -> str:
    """Return the panel: the newest sample of each queue, and what each worker runs."""
    newest = newest_samples(connection)
    registered = workers.registered(connection)
    alive = {worker.id for worker in registered if worker.alive(settings().worker_lease)}
    runs: dict[str | None, list[Job]] = {}
    for job in queries.running(connection):
        runs.setdefault(job.worker, []).append(job)
    places = sum(worker.concurrency for worker in registered if worker.id in alive)
    return render(
        "_panel.html",
        queues=[(name, newest.get(name)) for name in QUEUES],
        workers=registered,
        alive=alive,
        runs=runs,
        overloaded=sum(sample.backlog for sample in newest.values()) > places,
    )


def newest_samples(connection: Connection) -> dict[str, QueueSample]:
    """Return the newest sample of each queue; nothing if the beat container takes none."""
    return {sample.name: sample for sample in samples.since(connection, time.time() - strip.OLD_SAMPLE)}
