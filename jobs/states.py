"""The states of a job: Celery's names, and the three phases that matter to the ledger.

A job that has ended never moves again. The moves themselves are in :mod:`jobs.ledger.moves`, and are drawn in
docs/design.md.
"""

from enum import StrEnum


class State(StrEnum):
    """The state of a job."""

    #: Accepted; it waits for its time or for a worker.
    PENDING = "PENDING"
    #: A worker has claimed it.
    STARTED = "STARTED"
    #: It runs, and has reported how far it is.
    PROGRESS = "PROGRESS"
    #: It will be run again.
    RETRY = "RETRY"
    #: It ended well.
    SUCCESS = "SUCCESS"
    #: It ended badly.
    FAILURE = "FAILURE"
    #: It was cancelled.
    REVOKED = "REVOKED"


#: Accepted, and waiting for a worker.
WAITING = (State.PENDING, State.RETRY)
#: Claimed by a worker that has not reported the end yet.
RUNNING = (State.STARTED, State.PROGRESS)
#: Over. Such a row only ever leaves by expiry, or because somebody deletes a group of failures.
ENDED = (State.SUCCESS, State.FAILURE, State.REVOKED)
#: Over, and worth another try.
RETRYABLE = (State.FAILURE, State.REVOKED)
