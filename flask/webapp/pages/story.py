"""The way of a job through Warren: what happened to it and when, and how its time was spent."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.ledger.records import Attempt, Job

#: The least width of a part of the bar, in thousandths: what took no time is still to be seen.
NARROWEST = 4


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Something that happened to a job."""

    #: Seconds since the epoch.
    at: float
    text: str
    #: Seconds since what happened before; ``None`` for the first.
    gap: float | None
    #: How the time after it was spent: ``ledger``, ``broker`` or ``run``; empty at the end.
    then: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the bar that shows how the time of a job was spent."""

    #: Its place and its width, in thousandths of the bar.
    left: float
    width: float
    spent: str


def told(job: Job, past: Sequence[Attempt]) -> list[Moment]:
    """Return what happened to a job, in order of time. Of each run but the last, ``past`` tells."""
    happened = [(job.created_at, "Accepted, and on disk", "ledger")]
    if job.run_at is not None and job.created_at < job.run_at <= time.time():
        happened.append((job.run_at, "Its time has come", "ledger"))
    if job.published_at is not None:
        happened.append((job.published_at, "In RabbitMQ", "broker"))
    for run in past:
        if run.started_at is not None:
            happened.append((run.started_at, _begun(run.number, run.worker_name), "run"))
        happened.append((run.ended_at, f"Put back. {run.error or ''}".strip(), "ledger"))
    if job.started_at is not None and not (past and past[-1].number >= job.attempts):
        happened.append((job.started_at, _begun(job.attempts, job.worker_name), "run"))
    if job.ended_at is not None:
        happened.append((job.ended_at, f"Ended, and on disk: {job.state}", ""))
    happened.sort(key=lambda moment: moment[0])
    before = [None, *(at for at, _, _ in happened)]
    return [
        Moment(at=at, text=text, gap=at - earlier if earlier is not None else None, then=then)
        for (at, text, then), earlier in zip(happened, before, strict=False)
    ]


def _begun(number: int, worker: str | None) -> str:
    return f"Run {number} begins in {worker or 'a worker'}"


def bar(moments: Sequence[Moment]) -> list[Part]:
    """Return the parts of the bar from the first moment to the last, or to now for a job that has not ended."""
    ends = [moment.at for moment in moments[1:]]
    if moments[-1].then:
        ends.append(max(time.time(), moments[-1].at))
    whole = max(sum(end - moment.at for moment, end in zip(moments, ends, strict=False)), 1e-6)
    shares = [max((end - moment.at) / whole * 1000, NARROWEST) for moment, end in zip(moments, ends, strict=False)]
    scale = 1000 / sum(shares) if shares else 1
    parts, left = [], 0.0
    for moment, share in zip(moments, shares, strict=False):
        parts.append(Part(left=round(left, 1), width=round(share * scale, 1), spent=moment.then))
        left += share * scale
    return parts
