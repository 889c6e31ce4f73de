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
from jobs.errors import sentence
from jobs.ledger import moves, queries
from jobs.ledger.database import ledger
from jobs.settings import settings
from jobs.states import State

logger = get_logger(__name__)

#: Seconds a pool process goes on trying to store a result before it gives the job back to the queue.
STORE_PATIENCE = 90.0


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
        """Write what the run reports; a report that no longer fits the row (cancelled, taken over) is dropped.

        Celery acknowledges the message whether this succeeds or not. So a pool process that cannot write asks for the
        message to be requeued, by raising ``Reject``; the main process lets the error pass, and the ledger's recovery
        sees to the job.
        """
        in_pool = current_process().name != "MainProcess"
        try:
            stored = ledger().insist(
                lambda connection: _store(connection, task_id, result, state, request),
                patience=STORE_PATIENCE if in_pool else 0,
                durable=state != State.PROGRESS,
            )
        except SQLAlchemyError as error:
            if in_pool:
                raise Reject(error, requeue=True) from error
            raise
        if not stored:
            logger.info("report %s of %s dropped: the job has moved on", state, task_id)
        return result

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        """Return state and result in the form that ``AsyncResult`` reads; an unknown id is PENDING."""
        with ledger().reading() as connection:
            job = queries.find(connection, task_id)
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
            "traceback": None,
            "children": [],
            "name": job.type,
            "kwargs": job.params,
            "worker": job.worker_name,
            "retries": job.retries,
            "date_done": job.ended_at,
        }


def _store(connection: Connection, task_id: str, result: Any, state: str, request: Any) -> bool:
    """Make the move that a report stands for; return whether it fitted."""
    attempt = getattr(request, "attempt", None)
    by = identity.worker_id()
    if state == State.SUCCESS and attempt is not None:
        try:
            result = moves.as_json(result)
        except (TypeError, ValueError) as error:
            return moves.fail(connection, task_id, f"The result is not JSON: {error}.", attempt=attempt)
        return moves.succeed(connection, task_id, attempt, result)
    if state == State.PROGRESS and attempt is not None:
        return moves.report_progress(connection, task_id, attempt, moves.as_json(result))
    if state == State.RETRY and attempt is not None:
        due_at = getattr(request, "due_at", None) or time.time()  # none, if the task raised Celery's Retry by itself
        return moves.retry_later(connection, task_id, _reason(result), due_at, attempt=attempt)
    if state == State.RETRY:
        # From the main process, about a run that the end of the worker has cut short: no retry that the task asked for.
        held = task_id in queries.held_by(connection, by)
        moves.release(connection, [task_id], by, settings().max_deliveries, stopped=True)
        return held
    if state == State.REVOKED:
        return moves.cancel(connection, task_id) is not None
    if state == State.FAILURE:
        return moves.fail(connection, task_id, _reason(result), attempt=attempt, by=by)
    return False


def _reason(error: Any) -> str:
    if isinstance(error, TimeLimitExceeded):
        return f"Stopped: it ran longer than its limit of {error.args[0]:g} seconds."
    return sentence(error) if isinstance(error, BaseException) else str(error)
