"""A job in the worker's main process: claimed in the ledger before it runs, acknowledged after its outcome is there.

``Task.Request`` is Celery's documented extension point for what a worker does with a message.
"""

from typing import Any

from celery.exceptions import TaskRevokedError
from celery.worker.request import Request, task_ready

from jobs.catalogue import HEAVY, JOB_TYPES
from jobs.ledger import moves
from jobs.ledger.records import NewJob
from jobs.task import named
from jobs.worker import ledger_writer


class JobRequest(Request):
    """A message that was received, until it is acknowledged."""

    #: Whether a process of the pool is kept for it; until then it is only fetched ahead.
    chosen = False
    #: What the claim has told: which attempt this is, and the id of the HTTP request that has led to the job.
    attempt = 0
    request_id: str | None = None

    def __init_subclass__(cls) -> None:
        # Celery makes a subclass for each task, with a faster form of this method. Ours has to stay in force.
        del cls.execute_using_pool

    @property
    def quick(self) -> bool:
        """Whether the job is of a kind that takes milliseconds, so that several may share a turn of a process."""
        return self.name in JOB_TYPES and JOB_TYPES[self.name].quick

    @property
    def in_ledger(self) -> bool:
        """Whether the job has a row: the others were sent by ``task.delay()``."""
        return bool(self._request_dict.get("ledger"))

    @property
    def about(self) -> dict[str, Any]:
        """Which job and which run of it this is, for the log."""
        return {
            "task_id": self.id,
            "task_type": self.name,
            "attempt": self.attempt,
            "request_id": self.request_id,
        }

    def as_new_job(self) -> NewJob:
        """Return the job of a message that ``task.delay()`` sent."""
        job_type = JOB_TYPES.get(self.name)
        if job_type:
            params = named(job_type.params, self.args, self.kwargs)
        else:
            params = {**self.kwargs, "args": self.args} if self.args else self.kwargs
        queue = self.delivery_info.get("routing_key") or (job_type.queue if job_type else HEAVY)
        return NewJob(id=self.id, type=self.name, queue=queue, params=moves.as_json(params))

    def execute_using_pool(self, pool: Any, **_options: Any) -> None:
        """Ask for a claim: a process of the pool is free for this job."""
        if self.revoked():
            raise TaskRevokedError(self.id)
        self.chosen = True
        ledger_writer.writer().claim(self)

    def message(self) -> tuple[Any, ...]:
        """Return what a pool process needs for this run: the arguments of Celery's ``fast_trace_task``."""
        self._request_dict["attempt"] = self.attempt
        self._request_dict["request_id"] = self.request_id
        return self._type, self.id, self._request_dict, self._body, self._content_type, self._content_encoding

    def limits(self) -> dict[str, float | None]:
        """Return the soft and the hard limit of a run, in seconds."""
        hard, soft = self.time_limits
        return {"soft_timeout": soft or self._task.soft_time_limit, "timeout": hard or self._task.time_limit}

    def settle(self, celerys: Any) -> None:
        """Go on as Celery does when a run has ended: acknowledge, among other things."""
        self.on_success(celerys)

    def drop(self) -> None:
        """Forget the message: the job runs elsewhere, or has ended."""
        task_ready(self)
        self.acknowledge()

    def give_back(self) -> None:
        """Put the message back into its queue: what became of the run is not known, or cannot be written."""
        task_ready(self)
        self.reject(requeue=True)
