"""Jobs, queues, to-dos and the autoscaler as the API shows them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from jobs.ledger.autoscaler import Autoscaler, Line
from jobs.ledger.records import Attempt, AuditEntry, FailureGroup, Job, Priority, QueueSample, Schedule, Todo
from jobs.ledger.reports import Report
from jobs.states import State


def timestamp(seconds: float | None) -> str | None:
    """Return a time of the ledger in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds is not None else None


def job_view(job: Job) -> dict[str, Any]:
    """Return everything known about a job."""
    return {
        "task_id": job.id,
        "task_type": job.type,
        "queue": job.queue,
        "state": job.state,
        "status": job.state,
        "priority": Priority(job.priority).word,
        "request_id": job.request_id,
        "submitted_by": job.submitted_by,
        "input_params": job.params,
        "info": job.result if job.state is State.SUCCESS else job.info,
        "result": job.outcome,
        "progress": job.progress,
        "ready": job.ended,
        "successful": job.state is State.SUCCESS,
        "attempts": job.attempts,
        "worker": job.worker_name,
        "created_at": timestamp(job.created_at),
        "run_at": timestamp(job.run_at),
        "next_attempt_at": timestamp(job.due_at) if job.state is State.RETRY else None,
        "started_at": timestamp(job.started_at),
        "ended_at": timestamp(job.ended_at),
    }


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """Return a past attempt of a job."""
    return {
        "number": attempt.number,
        "worker": attempt.worker_name,
        "started_at": timestamp(attempt.started_at),
        "ended_at": timestamp(attempt.ended_at),
        "error": attempt.error,
    }


def report_view(report: Report) -> dict[str, Any]:
    """Return what a run has reported of its progress."""
    return vars(report) | {"at": timestamp(report.at)}


def failure_view(group: FailureGroup) -> dict[str, Any]:
    """Return a group of failures."""
    return {
        "key": group.key,
        "task_type": group.type,
        "message": group.message,
        "count": group.jobs,
        "first_at": timestamp(group.first_at),
        "last_at": timestamp(group.last_at),
        "history": group.history,
        "example": {"task_id": group.job_id, "error": group.error},
    }


def queue_view(sample: QueueSample) -> dict[str, Any]:
    """Return one queue at one moment, without the moment."""
    return {
        "name": sample.name,
        "ready": sample.ready,
        "unacknowledged": sample.unacknowledged,
        "consumers": sample.consumers,
        "unfinished": sample.unfinished,
        "scheduled": sample.scheduled,
        "in_rate": sample.in_rate,
        "out_rate": sample.out_rate,
        "paused": sample.paused,
    }


def history_view(samples: Iterable[QueueSample]) -> list[dict[str, Any]]:
    """Return samples of the queues, those of one moment together; ``at`` is in seconds since the epoch."""
    return [
        {"at": at, "queues": {sample.name: queue_view(sample) for sample in of_moment}}
        for at, of_moment in groupby(samples, key=attrgetter("at"))
    ]


def autoscaler_view(found: Autoscaler | None, lines: Sequence[Line]) -> dict[str, Any]:
    """Return how the autoscaler stands, and what it has said."""
    settings = ("min_workers", "max_workers", "wait", "cooldown", "workers", "wanted")
    return {
        "status": found.status if found else "never started",
        **{name: timestamp(getattr(found, name, None)) for name in ("started_at", "seen_at", "ended_at")},
        "queues": found.queues.split(",") if found else [],
        **{name: getattr(found, name, None) for name in settings},
        "lines": [{"at": timestamp(line.at), "text": line.text} for line in lines],
    }


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """Return a recurring job."""
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "every": schedule.every,
        "timezone": schedule.timezone,
        "task_type": schedule.type,
        "input_params": schedule.params,
        "paused": schedule.paused,
        "created_at": timestamp(schedule.created_at),
        "next_run_at": timestamp(schedule.next_run_at),
        "last_run_at": timestamp(schedule.last_run_at),
        "last_task_id": schedule.last_job_id,
    }


def todo_view(todo: Todo) -> dict[str, Any]:
    """Return a to-do."""
    return {"id": todo.id, "text": todo.text, "done": todo.done, "created_at": timestamp(todo.created_at)}


def audit_view(entry: AuditEntry) -> dict[str, Any]:
    """Return what somebody did."""
    return entry._asdict() | {"at": timestamp(entry.at)}
