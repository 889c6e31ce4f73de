"""Celery's result backend on the ledger: what a task reports goes into the job's own row.

``result_backend = "jobs.worker.backend:LedgerBackend"`` is Celery's documented extension point.
"""

import time
from typing import Any

from billiard.process import current_process
from celery import states as celery_states
from celery.backends.base import BaseBackend
from celery.exceptions import Reject, TimeLimitExceeded
from celery.utils.log import get_logger
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from jobs import identity
from jobs.errors import JobFailed, sentence
from jobs.ledger import moves, queries, tracebacks
from jobs.ledger.database import ledger
from jobs.ledger.records import Outcome
from jobs.settings import settings
from jobs.states import State
from jobs.worker import job_log, metrics
from jobs.worker.job_log import WORDS
from jobs.worker.trace import trace

logger = get_logger(__name__)

#: Seconds that a pool process goes on trying to report progress before it gives the job back to the queue.
PATIENCE = 90.0

#: What the run in this pool process has come to, until the main process is told. A process runs one job at a time.
_outcome: Outcome | None = None


class LedgerBackend(BaseBackend):
    """Stores states and results of tasks in the ledger, and reads them for ``AsyncResult``."""

    supports_autoexpire = True  # the beat container removes old rows

    def store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: str | None = None,
        request: Any = None,
        **_options: Any,
    ) -> Any:
        """In a pool process, keep what a run has come to, for the main process; write only its progress.

        In the main process, write what that says of a run: that its time is over, for instance. A report that no longer
        fits the row (cancelled, taken over) is dropped.
        """
        global _outcome
        if current_process().name == "MainProcess":
            with ledger().writing() as connection:
                fitted = _tell(connection, task_id, result, state)
            if fitted or state == State.REVOKED:  # who cancels a job writes its row at once
                metrics.cut_short(request.task, State(state))
            if fitted:
                job_log.tell(WORDS[State(state)], **job_log.about(request))
            else:
                logger.info("report %s of %s dropped: the job has moved on", state, task_id)
        elif state == State.PROGRESS:
            _report_progress(task_id, request.attempt, result)
        else:
            _outcome = _outcome_of(task_id, result, state, request)
        return result

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        """Return state and result in the form that ``AsyncResult`` reads; an unknown id is PENDING."""
        with ledger().reading() as connection:
            job = queries.find(connection, task_id)
            traceback = tracebacks.find(connection, task_id) if job and job.state is State.FAILURE else None
        if job is None:
            return {"task_id": task_id, "status": State.PENDING, "result": None, "traceback": None, "children": []}
        result = job.info if job.running else job.result
        if job.state in celery_states.EXCEPTION_STATES:
            result = self.exception_to_python(
                {"exc_type": "JobFailed", "exc_module": "jobs.errors", "exc_message": [job.error]}
            )
        return {
            "task_id": task_id,
            "status": job.state,
            "result": result,
            "traceback": traceback,
            "children": [],
            "name": job.type,
            "kwargs": job.params,
            "worker": job.worker_name,
            "retries": job.retries,
            "date_done": job.ended_at,
        }


def take_outcome() -> Outcome | None:
    """Return what the run that has just ended in this pool process has come to, if it was told."""
    global _outcome
    taken, _outcome = _outcome, None
    return taken


def _report_progress(task_id: str, attempt: int, info: Any) -> None:
    try:
        ledger().insist(
            lambda connection: moves.report_progress(connection, task_id, attempt, moves.as_json(info)),
            PATIENCE,
            durable=False,
        )
    except SQLAlchemyError as error:
        raise Reject(error, requeue=True) from error


def _outcome_of(task_id: str, result: Any, state: str, request: Any) -> Outcome:
    if state == State.SUCCESS:
        try:
            return Outcome(job_id=task_id, attempt=request.attempt, result=moves.as_json(result))
        except (TypeError, ValueError) as error:
            state, result = State.FAILURE, JobFailed(f"The result is not JSON: {error}.")
    return Outcome(
        job_id=task_id,
        attempt=request.attempt,
        state=State(state),
        error=_reason(result),
        traceback=trace(result) if state == State.FAILURE else None,
        # None, if the task raised Celery's Retry by itself.
        due_at=getattr(request, "due_at", None) or time.time(),
    )


def _tell(connection: Connection, task_id: str, result: Any, state: str) -> bool:
    """Make the move that a report of the main process stands for; return whether it fitted."""
    by = identity.worker_id()
    if state == State.RETRY:
        # About a run that the end of the worker has cut short: no retry that the task asked for.
        held = task_id in queries.held_by(connection, by)
        moves.release(connection, [task_id], by, settings().max_deliveries, stopped=True)
        return held
    if state == State.REVOKED:
        return moves.cancel(connection, task_id) is not None
    if state == State.FAILURE:
        return moves.fail(connection, task_id, _reason(result), by=by)
    return False


def _reason(error: Any) -> str:
    if isinstance(error, TimeLimitExceeded):
        return f"Stopped: it ran longer than its limit of {error.args[0]:g} seconds."
    return sentence(error) if isinstance(error, BaseException) else str(error)
