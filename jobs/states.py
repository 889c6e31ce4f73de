"""The states of a job: Celery's names, and the three phases that matter to the ledger.

An ended job never moves again. The moves themselves stand in :mod:`jobs.ledger.moves`, and are drawn in docs/design.md.
"""

PENDING = "PENDING"
STARTED = "STARTED"
PROGRESS = "PROGRESS"
RETRY = "RETRY"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"

#: Accepted, and waiting for a worker.
WAITING = (PENDING, RETRY)
#: Claimed by a worker that has not reported the end yet.
RUNNING = (STARTED, PROGRESS)
#: Over; such a row only ever leaves by expiry.
ENDED = (SUCCESS, FAILURE, REVOKED)

ALL = WAITING + RUNNING + ENDED
