"""What pages and API tell alike of workers: those that are registered, what they run and have run; and draining one."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from jobs.ledger import queries, workers
from jobs.ledger.database import ledger
from jobs.ledger.records import Job, Worker
from jobs.settings import settings
from webapp.auth.trail import noted
from webapp.intake import intake
from webapp.problems import Problem
from webapp.views import job_view, timestamp

#: Jobs that ended last in a worker, as many as are shown.
MOST_RECENT = 20


@dataclass(frozen=True, kw_only=True)
class WorkerNow:
    """A worker, and the jobs that it runs."""

    worker: Worker
    runs: list[Job]

    @property
    def alive(self) -> bool:
        """Whether it has given a sign of life in time."""
        return self.worker.alive(settings().worker_lease)


def registered(connection: Connection) -> list[WorkerNow]:
    """Return the workers that are registered, with what they run, by name."""
    runs: dict[str | None, list[Job]] = {}
    for job in queries.running(connection):
        runs.setdefault(job.worker, []).append(job)
    return [WorkerNow(worker=found, runs=runs.get(found.id, [])) for found in workers.registered(connection)]


def find_worker(connection: Connection, name: str) -> WorkerNow:
    """Return the worker of that name that started last. Raises a 404 problem."""
    found = [each for each in registered(connection) if each.worker.name == name]
    if not found:
        raise Problem(404, f"There is no worker called {name[:96]!r}.")
    return found[-1]


def takers(queue: str) -> list[Worker]:
    """Return the living workers that take jobs from a queue, by name."""
    with ledger().reading() as connection:
        living = workers.living(connection, settings().worker_lease)
    return [worker for worker in living if queue in worker.queues.split(",")]


def drain_worker(name: str) -> None:
    """Have a worker take no more jobs. Raises a 404 problem."""
    with ledger().reading() as connection:
        found = find_worker(connection, name).worker
    intake().write(noted("drain", name, lambda connection: workers.take_no_more(connection, found.id)))


def worker_view(found: WorkerNow) -> dict[str, Any]:
    """Return a worker."""
    worker = found.worker
    return {
        "name": worker.name,
        "alive": found.alive,
        "queues": worker.queues.split(",") if worker.queues else [],
        "concurrency": worker.concurrency,
        "running": len(found.runs),
        "started_at": timestamp(worker.started_at),
        "seen_at": timestamp(worker.seen_at),
        "memory": worker.memory,
        "memory_limit": worker.memory_limit,
    }


def worker_detail(connection: Connection, found: WorkerNow) -> dict[str, Any]:
    """Return a worker, with the jobs that it runs and those that ended last."""
    return worker_view(found) | {
        "running_jobs": [job_view(job) for job in found.runs],
        "recent_jobs": [job_view(job) for job in recent_jobs(connection, found.worker)],
    }


def recent_jobs(connection: Connection, worker: Worker) -> list[Job]:
    """Return the jobs that ended last in a worker, or before in one of its name."""
    return queries.ended_last_in(connection, worker.name, MOST_RECENT)
