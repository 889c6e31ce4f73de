"""Jobs that a pool process is given together: one of any kind, or several of the quick kinds.

To wake a process and to read its answer costs more than a job of a millisecond. So quick jobs share that, and the jobs
of a bundle run one after the other. The process only runs them: it gives back what they came to, and never waits for
the ledger.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from billiard.einfo import ExceptionInfo
from celery.app.trace import fast_trace_task

from jobs.ledger.records import Outcome
from jobs.worker import backend

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

#: Most jobs in a bundle.
LARGEST = 16

#: What became of a run: what Celery tells of it, or the exception that it did not expect; and the outcome, if any.
Answer = tuple[Any, Outcome | None]


def run(*jobs: tuple[Any, ...]) -> list[Answer]:
    """Run jobs one after the other, in a pool process."""
    return [(_run(job), backend.take_outcome()) for job in jobs]


def _run(job: tuple[Any, ...]) -> Any:
    try:
        return fast_trace_task(*job)
    except Exception:
        return ExceptionInfo()


class Bundle:
    """Requests whose jobs are to run in one turn of a pool process."""

    def __init__(self, first: "JobRequest", store: Callable[["JobRequest", Outcome, Any], None]) -> None:
        """Begin with one. ``store(request, outcome, answer of Celery)`` takes what its run came to."""
        self.requests = [first]
        self._store = store

    def add(self, request: "JobRequest") -> bool:
        """Take another request in if both are quick and there is room; return whether it is in."""
        if len(self.requests) == LARGEST or not (request.quick and self.requests[0].quick):
            return False
        self.requests.append(request)
        return True

    def start(self, pool: Any, claimed: list["JobRequest"]) -> None:
        """Send the jobs that were claimed to the pool. One that has run before runs alone: it may have died of that."""
        self.requests = [request for request in claimed if request.attempt == 1]
        for request in claimed:
            if request.attempt > 1:
                Bundle(request, self._store)._send(pool)
        if self.requests:
            self._send(pool)

    def _send(self, pool: Any) -> None:
        result = pool.apply_async(
            run,
            args=[request.message() for request in self.requests],
            accept_callback=self._accepted,
            timeout_callback=self._out_of_time,
            callback=self._ended,
            error_callback=self._lost,
            correlation_id=self.requests[0].id,
            **self.requests[0].limits(),
        )
        if result is not None:  # none from a pool that is closing: the end of the worker releases what it has claimed
            for request in self.requests:
                request._apply_result = ref(result)

    def _accepted(self, pid: int, moment: float) -> None:
        for request in self.requests:
            request.on_accepted(pid, moment)

    def _ended(self, answers: list[Answer]) -> None:
        for request, (celerys, outcome) in zip(self.requests, answers, strict=True):
            if isinstance(celerys, ExceptionInfo):
                request.on_failure(celerys)
            elif outcome is None:
                request.settle(celerys)
            else:
                self._store(request, outcome, celerys)

    def _out_of_time(self, soft: bool, timeout: float) -> None:
        if len(self.requests) == 1:
            self.requests[0].on_timeout(soft, timeout)
        elif not soft:
            self._give_back()

    def _lost(self, error: ExceptionInfo) -> None:
        if len(self.requests) == 1:
            self.requests[0].on_failure(error)
        else:
            self._give_back()

    def _give_back(self) -> None:
        # Which of them is to blame is not known. Each runs again, alone.
        for request in self.requests:
            if not request.acknowledged:
                request.give_back()
