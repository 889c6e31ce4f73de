"""What happened to a job, as its row and its past attempts tell. Those who show it have words of their own for it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from jobs import identity
from jobs.ledger.records import Attempt, Job
from jobs.ledger.reports import Report


class What(Enum):
    """Something that happens to a job."""

    #: Its row was written.
    ACCEPTED = auto()
    #: It was to wait until now.
    DUE = auto()
    #: RabbitMQ confirmed it. Of several times the last one is known.
    PUBLISHED = auto()
    #: A run begins in a worker.
    CLAIMED = auto()
    #: A run has told how far it is.
    REPORTED = auto()
    #: A run ended in another one.
    PUT_BACK = auto()
    #: It is over.
    ENDED = auto()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to a job."""

    what: What
    #: Seconds since the epoch.
    at: float
    #: The run that began, reported or ended: 1 is the first. 0 where it is about none.
    run: int = 0
    #: The id of the worker that ran it.
    worker: str | None = None
    #: Why the run or the job ended as it did: one plain sentence.
    error: str | None = None
    #: How far the run is, and a few words.
    report: str = ""

    @property
    def worker_name(self) -> str | None:
        """The name of the worker's container."""
        return identity.display_name(self.worker)


def events(job: Job, past: Sequence[Attempt], reports: Sequence[Report] = ()) -> list[Event]:
    """Return what happened to a job, in order of time. ``past`` are its attempts that ended in another one."""
    return sorted(_events(job, past, reports), key=lambda event: event.at)


def _events(job: Job, past: Sequence[Attempt], reports: Sequence[Report]) -> Iterator[Event]:
    yield Event(what=What.ACCEPTED, at=job.created_at)
    if job.run_at is not None and job.created_at < job.run_at <= time.time():
        yield Event(what=What.DUE, at=job.run_at)
    if job.published_at is not None:
        yield Event(what=What.PUBLISHED, at=job.published_at)
    for run in past:
        if run.started_at is not None:
            yield Event(what=What.CLAIMED, at=run.started_at, run=run.number, worker=run.worker)
        yield Event(what=What.PUT_BACK, at=run.ended_at, run=run.number, worker=run.worker, error=run.error)
    # Of a job that was put back the row has the times of the last run still, as the last attempt has.
    if job.started_at is not None and not (past and past[-1].number >= job.attempts):
        yield Event(what=What.CLAIMED, at=job.started_at, run=job.attempts, worker=job.worker)
    workers = {job.attempts: job.worker} | {run.number: run.worker for run in past}
    for told in reports:
        yield Event(what=What.REPORTED, at=told.at, run=told.run, worker=workers.get(told.run), report=str(told))
    if job.ended_at is not None:
        yield Event(what=What.ENDED, at=job.ended_at, run=job.attempts, worker=job.worker, error=job.error)
