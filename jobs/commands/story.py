"""The story of one job: what the ledger and the logs of all containers tell of it, in order of time."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from jobs.ledger.history import Event, What, events
from jobs.ledger.records import Attempt, Job
from jobs.ledger.reports import Report


class Rank(IntEnum):
    """What comes first of two moments in the same millisecond: an answer is never told before the question."""

    ASKED = 0
    ACCEPTED = 1
    ANSWERED = 2
    PUBLISHED = 3
    CLAIMED = 4
    STARTED = 5
    OTHER = 6
    ENDED = 7
    TOLD_END = 8


_EPOCH = datetime.fromtimestamp(0, UTC)
#: What a worker tells of a run, and its place.
_STARTED = "started"
_ENDS = ("succeeded", "failed", "will be run again", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One thing that happened."""

    at: datetime
    #: The container that tells it, or ``ledger``.
    where: str
    #: A plain sentence.
    what: str
    rank: Rank = Rank.OTHER
    #: The line of the log that tells it, as it is there; nothing for the ledger.
    line: dict[str, Any] = field(default_factory=dict)
    #: Whether it belongs to a request that only read the job, or made another one.
    aside: bool = False

    @property
    def milliseconds(self) -> int:
        """Its time since the epoch."""
        return (self.at - _EPOCH) // timedelta(milliseconds=1)


def in_order(moments: Iterable[Moment]) -> list[Moment]:
    """Return them as they happened. Nginx knows only milliseconds: what is in one of them is put in its usual order."""
    return sorted(moments, key=lambda moment: (moment.milliseconds, moment.rank))


# --- the ledger -------------------------------------------------------------------------------------------------------


_RANKS = {What.ACCEPTED: Rank.ACCEPTED, What.CLAIMED: Rank.CLAIMED, What.PUT_BACK: Rank.ENDED, What.ENDED: Rank.ENDED}


def told_by_ledger(job: Job, past: Sequence[Attempt], reports: Sequence[Report] = ()) -> Iterator[Moment]:
    """Yield what the job's row, its past attempts and the reports of its runs tell."""
    for event in events(job, past, reports):
        yield Moment(
            at=_moment(event.at),
            where="ledger",
            what=_in_words(event, job),
            rank=_RANKS.get(event.what, Rank.OTHER),
        )


def _in_words(event: Event, job: Job) -> str:
    match event.what:
        case What.ACCEPTED:
            when = f", to be run at {_moment(job.run_at).isoformat()}" if job.run_at is not None else ""
            return f"accepted for the queue {job.queue}{when}"
        case What.DUE:
            return "its time has come"
        case What.PUBLISHED:
            return "noted as published"
        case What.CLAIMED:
            return f"attempt {event.run} claimed by {event.worker_name or 'a worker'}"
        case What.REPORTED:
            return f"attempt {event.run} reported {event.report}"
        case What.PUT_BACK:
            return f"attempt {event.run} ended: {event.error}"
        case What.ENDED:
            return f"{job.state}: {event.error}" if event.error else str(job.state)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- the logs ---------------------------------------------------------------------------------------------------------


def told_by_logs(job: Job, lines: Iterable[str]) -> Iterator[Moment]:
    """Yield what the logs tell. Each of the lines is the name of a container, a space, and a line of its log."""
    ids = [job.id, *([job.request_id] if job.request_id else [])]
    for line in lines:
        # Nearly all lines are about other jobs, and looking into each would take long.
        if any(each in line for each in ids):
            where, _, text = line.partition(" ")
            found = _parsed(text)
            if found is not None and _is_about(job, found):
                yield from _moments(job, where, found)


def _parsed(text: str) -> dict[str, Any] | None:
    """Return a line of a log as an object; ``None`` for one that is none of ours."""
    try:
        line: dict[str, Any] = json.loads(text)
        return line if line.keys() >= {"time", "level", "event"} else None
    except (ValueError, AttributeError):
        return None


def _is_about(job: Job, line: dict[str, Any]) -> bool:
    """Tell whether a line names the job; or its request, and no other job."""
    named = [line.get("task_id"), *line.get("jobs", ())]
    if job.id in named or job.id in f"{line.get('path', '')} {line['event']}":
        return True
    same_request = job.request_id is not None and line.get("request_id") == job.request_id
    return same_request and (line["event"] == "request" or not any(named))


def _moments(job: Job, where: str, line: dict[str, Any]) -> Iterator[Moment]:
    at = datetime.fromisoformat(line["time"])
    event = line["event"]
    seconds = timedelta(seconds=line.get("seconds", 0))
    if event == "request":
        yield from _request(job, where, line, at - seconds, at)
    elif event == "published":
        others = f" with {len(line['jobs']) - 1} others" if len(line["jobs"]) > 1 else ""
        what = f"published{others}, confirmed after {_ms(seconds)}"
        yield Moment(at=at - seconds, where=where, what=what, rank=Rank.PUBLISHED, line=line)
    elif event == _STARTED and "attempt" in line:
        yield Moment(at=at, where=where, what=f"attempt {line['attempt']} started", rank=Rank.STARTED, line=line)
    elif event in _ENDS and "attempt" in line:
        after = f" after {_ms(seconds)}" if "seconds" in line else ""
        what = f"attempt {line['attempt']} {event}{after}"
        yield Moment(at=at, where=where, what=what, rank=Rank.TOLD_END, line=line)
    else:
        level = "" if line["level"] == "INFO" else f"{line['level']}: "
        schedule = f" {line['schedule']}" if "schedule" in line else ""
        yield Moment(at=at, where=where, what=f"{level}{event}{schedule}", line=line)


def _request(job: Job, where: str, line: dict[str, Any], began: datetime, ended: datetime) -> Iterator[Moment]:
    """Yield the two moments of a request: Nginx tells of both when it is over."""
    method, made = line["method"], line["task_id"]
    other = made not in ("", job.id)
    aside = (method in ("GET", "HEAD") and made != job.id) or (other and job.id not in line["path"])
    asked = f"{method} {line['path']} from {line['client']}"
    answered = f"answered {line['status']} after {_ms(ended - began)}{f', job {made}' if other else ''}"
    yield Moment(at=began, where=where, what=asked, rank=Rank.ASKED, line=line, aside=aside)
    yield Moment(at=ended, where=where, what=answered, rank=Rank.ANSWERED, line=line, aside=aside)


def _ms(time: timedelta) -> str:
    return f"{time / timedelta(milliseconds=1):.0f} ms"


# --- what is missing --------------------------------------------------------------------------------------------------


def missing(job: Job, past: Iterable[Attempt], told: Iterable[Moment]) -> Iterator[str]:
    """Yield a sentence for each thing that happened, as the ledger knows, and that no log tells of."""
    lines = [moment.line for moment in told]
    gone = "its container was removed or renewed since, or its log is full and has lost its oldest lines"
    requests = {line["request_id"] for line in lines if line.get("event") == "request"}
    if job.request_id is not None and job.request_id not in requests:
        yield f"No line of Nginx tells of the request: {gone}; or it is not written yet, which takes up to 2 s."
    started = {line["attempt"] for line in lines if line.get("event") == _STARTED and "attempt" in line}
    claimed = [(attempt.number, attempt.worker_name) for attempt in past]
    if job.worker is not None:
        claimed.append((job.attempts, job.worker_name))
    for number, worker in claimed:
        if number not in started:
            yield f"No line of {worker} tells of attempt {number}: {gone}."
