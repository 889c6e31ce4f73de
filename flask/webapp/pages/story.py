"""The way of a job through Warren: what happened to it and when, and where its time was spent."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.ledger.history import Event, What, events
from jobs.ledger.records import Attempt, Job
from jobs.ledger.reports import Report

#: The least width of a bar, in thousandths of its lane: what took no time is still to be seen.
NARROWEST = 4


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a job is between two things that happen to it: the ledger, RabbitMQ, or a worker."""

    #: ``ledger``, ``broker`` or ``run``.
    kind: str
    name: str


LEDGER = Place(kind="ledger", name="Ledger")
BROKER = Place(kind="broker", name="RabbitMQ")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Something that happened to a job."""

    #: Seconds since the epoch.
    at: float
    text: str
    #: Seconds since what happened before; ``None`` for the first.
    gap: float | None
    #: Where the job was from then on; ``None`` at the end.
    then: Place | None


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A time that a job spent in one place."""

    #: Its place and its width, in thousandths of the lane.
    left: float
    width: float


@dataclass(kw_only=True)
class Lane:
    """A place and the times that the job was there: each run of it is a bar in the lane of its worker."""

    place: Place
    #: All of them together.
    seconds: float = 0
    bars: list[Bar] = field(default_factory=list)


def told(job: Job, past: Sequence[Attempt], reports: Sequence[Report] = ()) -> list[Moment]:
    """Return what happened to a job, in order of time. Of each run but the last, ``past`` tells."""
    happened = events(job, past, reports)
    before = [None, *(event.at for event in happened)]
    return [
        Moment(
            at=event.at,
            text=_in_words(event, job),
            gap=event.at - earlier if earlier is not None else None,
            then=_place_after(event),
        )
        for event, earlier in zip(happened, before, strict=False)
    ]


def _in_words(event: Event, job: Job) -> str:
    match event.what:
        case What.ACCEPTED:
            return "Accepted, and on disk"
        case What.DUE:
            return "Its time has come"
        case What.PUBLISHED:
            return "In RabbitMQ"
        case What.CLAIMED:
            return f"Run {event.run} begins in {_worker(event)}"
        case What.REPORTED:
            return f"Run {event.run}: {event.report}"
        case What.PUT_BACK:
            return f"Put back. {event.error or ''}".strip()
        case What.ENDED:
            return f"Ended, and on disk: {job.state}"


def _place_after(event: Event) -> Place | None:
    match event.what:
        case What.PUBLISHED:
            return BROKER
        case What.CLAIMED | What.REPORTED:
            return Place(kind="run", name=_worker(event))
        case What.ENDED:
            return None
    return LEDGER


def _worker(event: Event) -> str:
    return event.worker_name or "a worker"


def lanes(moments: Sequence[Moment]) -> list[Lane]:
    """Return a lane for each place that the job was in, as it came to them: until its end, or until now."""
    ends = [moment.at for moment in moments[1:]]
    if moments[-1].then is not None:
        ends.append(max(time.time(), moments[-1].at))
    stays = [(moment.then, end - moment.at) for moment, end in zip(moments, ends, strict=False)]
    whole = max(sum(seconds for _, seconds in stays), 1e-6)
    shares = [max(seconds / whole * 1000, NARROWEST) for _, seconds in stays]
    scale = 1000 / sum(shares) if shares else 1
    found: dict[Place, Lane] = {}
    left = 0.0
    for (place, seconds), share in zip(stays, shares, strict=True):
        if place is not None:
            lane = found.setdefault(place, Lane(place=place))
            lane.seconds += seconds
            lane.bars.append(Bar(left=round(left, 1), width=round(share * scale, 1)))
        left += share * scale
    return list(found.values())
