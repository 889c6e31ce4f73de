"""The base class of every task: a run begins with a claim in the ledger, and a retry goes through the ledger.

``before_start`` is Celery's hook between the delivery of a message and the run of the task.
"""

import random
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn, TypeVar

from celery import Task
from celery.exceptions import Retry
from pydantic import ValidationError

from jobs.catalogue import JOB_TYPES, Params
from jobs.errors import JobFailed

#: Back-off of a retry, in seconds: doubles with each, up to the longest, with jitter so that jobs do not come in step.
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 600.0
#: Least seconds between two reports of progress that reach the ledger.
REPORT_INTERVAL = 0.2

P = TypeVar("P", bound=Params)


class JobTask(Task):
    """A Celery task whose state lives in the ledger."""

    Request = "jobs.worker.request:JobRequest"

    def retry(
        self,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        exc: Exception | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Ask for another run: Celery's own signature, but the job waits in the ledger and not in a message.

        It waits until ``eta`` (with its offset), or for ``countdown`` seconds. With neither, the wait doubles with each
        retry. Raises ``exc`` when the retries are used up, and :class:`ValueError` for an ``eta`` without an offset.
        """
        done = self.request.retries
        limit = self.max_retries if max_retries is None else max_retries
        if limit is not None and done >= limit:
            raise exc or self.MaxRetriesExceededError(f"Gave up after {done} retries.")
        if eta is not None:
            if eta.tzinfo is None:
                raise ValueError("eta needs its offset from UTC: datetime.now(UTC) has one")
            countdown = max(0.0, eta.timestamp() - time.time())
        elif countdown is None:
            countdown = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**done) * random.uniform(0.8, 1.2)
        self.request.due_at = time.time() + countdown
        again = Retry(exc=exc, when=countdown)
        if throw:
            raise again from exc
        return again

    def report(self, percent: float, message: str, **more: Any) -> None:
        """Tell how far this run has come: 0 to 100 percent and a few words.

        A task may call this as often as it likes. A report that comes sooner than :data:`REPORT_INTERVAL` seconds after
        the last one is not written.
        """
        now = time.monotonic()
        if now - getattr(self.request, "reported_at", float("-inf")) < REPORT_INTERVAL:
            return
        self.request.reported_at = now
        self.update_state(state="PROGRESS", meta={"percent": round(percent), "message": message, **more})

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        """Send this task without the HTTP API, from a Python shell for instance."""
        if kwargs.get("eta") or kwargs.get("countdown"):
            _no_delayed_messages()
        return super().apply_async(*args, **kwargs)


def job(name: str) -> Callable[[Callable[[JobTask, P], Any]], JobTask]:
    """Register a function as the task of a job type, under the limits that the catalogue gives it.

    The function gets the task itself (Celery's ``bind``) and its parameters, checked by the catalogue's model. They are
    checked as well when the job was sent by ``task.delay()``. What the function returns must be JSON.
    """
    from jobs.app import app

    job_type = JOB_TYPES[name]

    def register(function: Callable[[JobTask, P], Any]) -> JobTask:
        @wraps(function)
        def run(task: JobTask, *args: Any, **kwargs: Any) -> Any:
            return function(task, checked(job_type.params, named(job_type.params, args, kwargs)))  # type: ignore[arg-type]

        task: JobTask = app.task(
            name=name,
            bind=True,
            base=JobTask,
            time_limit=job_type.time_limit,
            max_retries=job_type.max_retries,
        )(run)
        return task

    return register


def named(model: type[Params], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments by name: those without one belong to the fields of the model, in their order."""
    return dict(zip(model.model_fields, args, strict=False)) | kwargs


def checked(model: type[Params], values: dict[str, Any]) -> Params:
    """Return the parameters. Raises :class:`JobFailed` with a sentence that names each wrong field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise JobFailed(f"{'; '.join(wrong)}.") from None


def _no_delayed_messages() -> NoReturn:
    raise ValueError(
        "eta and countdown are not supported: no message waits in RabbitMQ. Use POST /flask/tasks with run_at."
    )
