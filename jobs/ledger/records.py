"""What goes into the ledger and what comes out: one shape for each thing. Times are seconds since the epoch."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from jobs import identity
from jobs.states import ENDED, RETRYABLE, RUNNING, State

#: Seconds that the accepting process has for publishing a job before the beat container sees to it.
RELAY_GRACE = 5.0


def new_id() -> str:
    """Return an id that no job has."""
    return str(uuid.uuid4())


class Priority(IntEnum):
    """Which jobs go before others. RabbitMQ's quorum queues know two levels."""

    NORMAL = 0
    #: RabbitMQ takes any number above 4 for this. Of two messages that wait, it delivers this one first, mostly.
    HIGH = 5

    @property
    def word(self) -> str:
        """Return its name for people and programs: ``normal`` or ``high``."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class DueJob:
    """What must be known of a job to publish it."""

    id: str
    type: str
    queue: str
    params: dict[str, Any]
    due_at: float
    #: Retries that the task has asked for so far.
    retries: int = 0
    priority: int = Priority.NORMAL
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job as it is accepted."""

    type: str
    queue: str
    params: dict[str, Any]
    id: str = field(default_factory=new_id)
    created_at: float = field(default_factory=time.time)
    #: Not to be started before; ``None`` means now.
    run_at: float | None = None
    priority: int = Priority.NORMAL
    #: Of the HTTP request that has led to it, if there was one.
    request_id: str | None = None
    #: Who wanted it; ``None`` where nobody has to log in.
    submitted_by: str | None = None
    #: The id of the job that it repeats, if it is a retry that somebody asked for.
    retry_of: str | None = None

    @property
    def due_at(self) -> float:
        """When the beat container publishes it, if nobody did before."""
        return self.run_at if self.run_at is not None else self.created_at + RELAY_GRACE

    @property
    def due(self) -> DueJob:
        """The job as it is published."""
        return DueJob(
            id=self.id,
            type=self.type,
            queue=self.queue,
            params=self.params,
            due_at=self.due_at,
            priority=self.priority,
            request_id=self.request_id,
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as its row has it."""

    #: Its place in the order of acceptance.
    seq: int
    id: str
    type: str
    queue: str
    params: dict[str, Any]
    state: State
    priority: int
    #: Of the HTTP request that has led to it, if there was one.
    request_id: str | None
    #: Who wanted it; ``None`` where nobody has to log in.
    submitted_by: str | None
    #: The id of the job that it repeats, if it is a retry that somebody asked for.
    retry_of: str | None
    created_at: float
    #: Not to be started before, if the client said so.
    run_at: float | None
    #: When it must be published (again); ``None`` while the broker or a worker has it.
    due_at: float | None
    published_at: float | None
    started_at: float | None
    ended_at: float | None
    #: Claims so far. The number of the newest one is the fencing token of its reports.
    attempts: int
    #: How many attempts ended in a retry that the task asked for.
    retries: int
    #: How many attempts ended with the death of the worker process.
    deaths: int
    #: The id of the worker that has claimed it, see :mod:`jobs.identity`.
    worker: str | None
    #: Percent, 0 to 100.
    progress: int
    #: What it reported last while it runs: ``{"percent", "message", ...}``.
    info: Any
    result: Any
    #: Why it failed, is tried again or was cancelled: one plain sentence.
    error: str | None
    #: The key of the group of failed jobs that it belongs to.
    failure: str | None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in ENDED

    @property
    def scheduled(self) -> bool:
        """Whether it waits for its time."""
        return self.state is State.PENDING and self.due_at is not None and self.due_at > time.time() + RELAY_GRACE

    @property
    def running(self) -> bool:
        """Whether a worker has claimed it and not reported the end."""
        return self.state in RUNNING

    @property
    def retryable(self) -> bool:
        """Whether it can be submitted again, as a new job."""
        return self.state in RETRYABLE

    @property
    def outcome(self) -> Any:
        """Its result, or one plain sentence on why there is none."""
        return self.result if self.state is State.SUCCESS else self.error

    @property
    def worker_name(self) -> str | None:
        """The name of the worker's container."""
        return identity.display_name(self.worker)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt of a job that ended in another one."""

    job_id: str
    number: int
    worker: str | None
    started_at: float | None
    ended_at: float
    #: Why there had to be another: one plain sentence.
    error: str | None

    @property
    def worker_name(self) -> str | None:
        """The name of the worker's container."""
        return identity.display_name(self.worker)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that a worker has just begun to run."""

    #: The number of this attempt: 1 is the first.
    attempt: int
    #: Since when it could have been begun the first time.
    ready_at: float
    #: Of the HTTP request that has led to the job, if there was one.
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run of a job has come to, as the run itself tells it."""

    job_id: str
    #: Which of its claims this run is.
    attempt: int
    #: ``SUCCESS``, ``FAILURE``, or ``RETRY`` when the task has asked for another run.
    state: State = State.SUCCESS
    #: JSON.
    result: Any = None
    #: Why there is no result: one plain sentence.
    error: str = ""
    #: Where the exception came from, if it is a ``FAILURE`` by one.
    traceback: str | None = None
    #: When it is to be run again.
    due_at: float = 0
    ended_at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Failed jobs of one kind whose sentences differ in variable parts only: see :mod:`jobs.fingerprint`."""

    #: 16 hexadecimal digits.
    key: str
    type: str
    #: The sentence, with placeholders for its variable parts.
    message: str
    #: Jobs of the group that the ledger has.
    jobs: int
    #: When the group began. That job may be gone already.
    first_at: float
    last_at: float
    #: How many jobs failed in each of the last 24 hours, oldest first; the last one is the present hour.
    history: Sequence[int]
    #: The job of the group that was accepted last, and its own sentence.
    job_id: str
    error: str


def ids_after(first: str, count: int) -> list[str]:
    """Return the ids of ``count`` jobs that are accepted together: the first one, and those that follow from it.

    So one id stands for all of them, also when the same request comes again.
    """
    return [first, *(str(uuid.uuid5(uuid.UUID(first), str(number))) for number in range(1, count))]


class KeyReused(Exception):
    """An idempotency key came before with another request."""


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """A key that a client gave with a submission, so that sending it again does not make a second job."""

    text: str
    #: SHA-256 of the request: the same key with another request is a mistake of the client.
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One start of one worker."""

    #: The container's name and a random part.
    id: str
    name: str
    #: Names with commas between them; empty when it takes no more jobs.
    queues: str
    concurrency: int
    started_at: float
    #: When it renewed its lease last.
    seen_at: float
    #: Bytes that its container uses, and may use; ``None`` where that is not known, or there is no limit.
    memory: int | None = None
    memory_limit: int | None = None

    def alive(self, lease: float) -> bool:
        """Tell whether it has given a sign of life within ``lease`` seconds."""
        return self.seen_at > time.time() - lease


@dataclass(frozen=True, kw_only=True)
class QueueSample:
    """One queue at one moment: the API, the monitor and the dashboard all show this."""

    at: float
    name: str
    #: Messages that wait for a worker; this and the next two are ``None`` when RabbitMQ did not answer.
    ready: int | None
    #: Messages that workers hold: running, or fetched ahead.
    unacknowledged: int | None
    #: Worker connections that take from the queue.
    consumers: int | None
    #: Jobs that have not ended, by the ledger.
    unfinished: int
    #: Those of them whose time has not come: scheduled, or waiting for a retry.
    scheduled: int
    #: Jobs accepted and jobs ended per second, over the last minute.
    in_rate: float
    out_rate: float
    #: Whether none of its jobs is started until it is resumed.
    paused: bool = False

    @property
    def backlog(self) -> int:
        """The jobs that workers could run now, or are running."""
        return max(0, self.unfinished - self.scheduled)

    @property
    def time_left(self) -> str:
        """When the queue will be empty at these rates: ``2:03``, or a word."""
        if self.paused:
            return "paused"
        if self.backlog == 0:
            return "empty"
        if self.in_rate > self.out_rate:
            return "growing"
        if self.in_rate == self.out_rate:
            return "not moving"
        return clock(self.backlog / (self.out_rate - self.in_rate))


def clock(seconds: float) -> str:
    """Return a duration as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A recurring job: what makes a new job at each of its slots."""

    name: str
    #: One of these two is given: a cron expression, or seconds between two slots.
    cron: str | None
    every: float | None
    #: IANA name of the zone in which the cron expression is read.
    timezone: str
    type: str
    params: dict[str, Any]
    paused: bool
    created_at: float
    #: The slot that comes next; ``None`` while it is paused.
    next_run_at: float | None
    #: The slot of the newest job, and the id of that.
    last_run_at: float | None
    last_job_id: str | None


@dataclass(frozen=True, kw_only=True)
class Todo:
    """A to-do."""

    id: int
    text: str
    done: bool
    created_at: float


class Role(IntEnum):
    """What somebody may do. Each may do what those before it may."""

    #: Look at everything, except at who may log in and who did what.
    VIEWER = 1
    #: Submit, cancel, retry, pause, and change schedules and to-dos.
    OPERATOR = 2
    #: Also people, tokens, the audit, and the tools behind Nginx.
    ADMIN = 3

    @property
    def word(self) -> str:
        """Return its name for people and programs."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "Role":
        """Return the role of that name. Raises :class:`KeyError`."""
        return cls[word.upper()]


@dataclass(frozen=True, kw_only=True)
class Account:
    """Somebody who may log in."""

    name: str
    #: By argon2, with its parameters and its salt.
    password_hash: str
    role: str
    #: In each session of theirs: with a new one, all sessions have ended.
    stamp: str
    created_at: float
    last_login_at: float | None


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a program identifies itself with."""

    name: str
    #: SHA-256 of the token, in hexadecimal.
    digest: str
    role: str
    created_at: float
    #: ``None``: never.
    expires_at: float | None
    #: To the minute.
    last_used_at: float | None
    #: How many jobs it has submitted in the minute that began then.
    minute_began_at: float
    submissions: int

    @property
    def expired(self) -> bool:
        """Whether it is too old to be let in."""
        return self.expires_at is not None and self.expires_at <= time.time()


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """How many jobs a token may submit in a minute, and what is left of that."""

    limit: int
    left: int
    #: Seconds until the minute is over, and all of them may be submitted again.
    renewed_in: float


class AuditEntry(NamedTuple):
    """Somebody did something, or tried to. A tuple, because one is made for each submission."""

    at: float
    #: A person by name, or ``token NAME``.
    who: str
    #: Empty for somebody who has not logged in.
    role: str
    #: The address that the request came from.
    address: str
    #: A word such as ``submit``, ``cancel`` or ``login``.
    action: str
    #: The job, or the name of what else it was done to.
    subject: str = ""
    #: ``done`` or ``refused``.
    outcome: str = "done"
    #: One plain sentence, or nothing.
    detail: str = ""
