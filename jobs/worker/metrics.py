"""What a worker counts of its jobs, for Prometheus: text at ``:9100/metrics``, in the inner network.

Only the main process counts, because all claims and outcomes pass through it.
"""

import time
from functools import cache

from prometheus_client import Counter, Histogram, disable_created_metrics, start_http_server

from jobs.catalogue import JOB_TYPES
from jobs.ledger.records import Claim
from jobs.states import ENDED, State

#: Where it is told.
PORT = 9100

_QUEUE_WAIT = Histogram(
    "warren_queue_wait_seconds",
    "How long jobs waited for their first run, from the moment at which they could have started.",
    ["task_type"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)
_RUN_DURATION = Histogram(
    "warren_run_duration_seconds",
    "How long runs took that came to an outcome, until it was stored.",
    ["task_type"],
    buckets=(0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200),
)
_ENDED = Counter("warren_jobs_ended", "Jobs that ended in a worker, by their state.", ["task_type", "state"])
_RETRIES = Counter("warren_retries", "Runs that asked to be tried again.", ["task_type"])

# What finds the figures of these labels: cached, because each job asks for some.
_wait_of = cache(_QUEUE_WAIT.labels)
_duration_of = cache(_RUN_DURATION.labels)
_ended_of = cache(_ENDED.labels)
_retries_of = cache(_RETRIES.labels)

# Told as 0 from the start, or Prometheus could not see the first one as a rise.
for _task_type in JOB_TYPES:
    _retries_of(_task_type)
    for _state in ENDED:
        _ended_of(_task_type, _state)


def serve() -> None:
    """Answer whoever asks, in a thread. Raises :class:`OSError` if another program has the port."""
    # The moment at which each counter began would be one more figure for each.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    start_http_server(PORT)


def begun(task_type: str, claim: Claim) -> None:
    """Count a job that was claimed."""
    # Before another run it waits for its back-off, too, and nobody knows any more until when.
    if claim.attempt == 1:
        _wait_of(task_type).observe(max(0, time.time() - claim.ready_at))


def ran(task_type: str, state: State, seconds: float) -> None:
    """Count what a run came to after so many seconds: ``SUCCESS``, ``FAILURE`` or ``RETRY``."""
    _duration_of(task_type).observe(seconds)
    if state is State.RETRY:
        _retries_of(task_type).inc()
    else:
        _ended_of(task_type, state).inc()


def cut_short(task_type: str, state: State) -> None:
    """Count a run that the worker itself has stopped: because of its time limit, or because it was cancelled."""
    if state in ENDED:
        _ended_of(task_type, state).inc()
