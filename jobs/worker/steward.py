"""The steward of a worker: a thread of its main process that keeps ledger and worker in step, about once a second.

- renews the worker's lease, without which the beat container gives its jobs to others; a worker that has lost it (it
  was paused, say) ends at once, and Docker starts it anew, under a new id;
- releases jobs that the ledger says this worker runs and it does not: a pool process died, or a report was lost;
- stops runs of jobs that were cancelled;
- touches the heartbeat file, but only while the event loop of the worker runs, the broker is connected and the
  processes of the pool live;
- lets the worker take no more jobs, if somebody has drained it: its row has no queues then;
- on SIGUSR2, lets the worker take no more jobs, and ends it when it runs none any more (:mod:`jobs.worker.retirement`);
- on SIGTERM, gives running jobs until shortly before Docker's SIGKILL and then puts them back.

Everything goes through the ledger, so cancelling works while RabbitMQ is down, and no message is needed.
"""

import gc
import logging
import os
import signal
import threading
import time
from typing import Any

from celery.signals import (
    worker_before_create_process,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker import state
from sqlalchemy.exc import SQLAlchemyError

from jobs import heartbeat, identity
from jobs.ledger import moves, queries, workers
from jobs.ledger.database import ledger
from jobs.settings import settings
from jobs.worker import job_log, ledger_writer, memory, metrics, retirement

logger = logging.getLogger(__name__)

#: Seconds between two looks.
INTERVAL = 1.0
#: Seconds that the event loop may be silent before the worker no longer counts as healthy.
LOOP_PATIENCE = 10.0
#: Seconds that a pool process has to live before it shows that the pool works: one that dies at its start does not.
SETTLED = 5.0
#: Seconds kept back from the stop timeout, for putting back what has not finished.
STOP_RESERVE = 10.0


class Steward:
    """One for each worker process; see the module's text."""

    def __init__(self, controller: Any) -> None:
        self._controller = controller
        self._id = identity.worker_id()
        #: Whether the worker has been asked to stop: what it leaves then did not kill it.
        self.stopping = False
        self._suspects: set[str] = set()
        self._loop_seen = 0.0
        self._pool_seen: dict[int, float] = {}
        self._stopped = threading.Event()
        # A pool process forked in the middle of a statement would inherit SQLite's mutexes, locked for ever.
        self._no_fork = threading.Lock()
        os.register_at_fork(
            before=self._no_fork.acquire, after_in_parent=self._no_fork.release, after_in_child=self._no_fork.release
        )

    def start(self) -> None:
        """Register the worker, waiting for the ledger if need be, and begin to look after it."""
        ledger().insist(self._register, patience=60)
        threading.Thread(target=self._run, name="steward", daemon=True).start()

    def stop(self) -> None:
        """Leave: the worker has finished, and holds nothing any more."""
        self._stopped.set()
        try:
            with ledger().writing() as connection:
                workers.retire(connection, self._id, settings().max_deliveries, stopped=True)
        except SQLAlchemyError as error:
            logger.warning("the worker could not sign off, its lease will run out: %s", error)

    def _register(self, connection: Any) -> None:
        chosen = settings()
        workers.register(connection, self._id, chosen.worker_name, chosen.celery_queues, chosen.celery_concurrency)

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            try:
                with self._no_fork:
                    self._look()
            except SQLAlchemyError as error:
                logger.warning("the steward cannot reach the ledger: %s", error)
            except Exception:
                logger.exception("the steward stumbled")

    def _look(self) -> None:
        # The order matters. A run reports its end to the ledger before its request is gone; so a row that is read as
        # running first, and has no request after, has no run any more. In the same way, a worker that took its last
        # message first, and has no request after, is done.
        took_last = retirement.took_last()
        with ledger().writing(durable=False) as connection:
            queues = workers.renew_lease(connection, self._id, *memory.read())
            if retirement.asked():
                workers.take_no_more(connection, self._id)
            held = queries.held_by(connection, self._id)
        if queues is None:
            # What still runs here, others run again. It must not go on: the main process tells what it has to report of
            # a run by the worker's id, and could take it for a newer run of the same job.
            logger.warning("this worker was given up for dead, and its jobs given to others; it ends, to start anew")
            os._exit(os.EX_TEMPFAIL)
        current = {request.id for request in _current_requests()}
        if retirement.asked() and took_last and not held and not current:
            logger.info("retired: nothing runs here any more")
            retirement.leave()
        elif retirement.asked() or not queues:
            self._controller.consumer.hub.call_soon(retirement.take_no_more, self._controller)
        orphans = held - current
        # Seen twice, since a run may end, and be stored, between the two looks above.
        lost = orphans & self._suspects
        self._suspects = orphans - lost
        if lost:
            logger.warning("released, no process runs them any more: %s", ", ".join(sorted(lost)))
            with ledger().writing() as connection:
                moves.release(connection, lost, self._id, settings().max_deliveries, stopped=self.stopping)
        self._stop_cancelled_runs()
        self._check_health()

    def _stop_cancelled_runs(self) -> None:
        running = {request.id: request for request in _current_requests() if request.time_start}
        with ledger().reading() as connection:
            cancelled = queries.cancelled_at(connection, list(running))
        for job_id, moment in cancelled.items():
            request = running[job_id]
            # A run that began after the cancellation is a stray message, about to be dropped by itself.
            if request.time_start < moment:
                job_log.tell("stopped, because it was cancelled", **request.about)
                # In the event loop's own thread: terminating acknowledges the message on the loop's channel.
                self._controller.consumer.hub.call_soon(request.terminate, self._controller.pool, "KILL")

    def _check_health(self) -> None:
        consumer = getattr(self._controller, "consumer", None)
        connection = getattr(consumer, "connection", None)
        if consumer is None or connection is None or not connection.connected:
            return
        if self._pool_works() and time.monotonic() - self._loop_seen < LOOP_PATIENCE:
            heartbeat.beat()
        consumer.hub.call_soon(self._loop_turned)

    def _pool_works(self) -> bool:
        """Tell whether a pool process has lived for a while, or the pool is the first that this worker has."""
        now = time.monotonic()
        born = now if self._pool_seen else now - SETTLED
        self._pool_seen = {pid: self._pool_seen.get(pid, born) for pid in self._controller.pool.info["processes"]}
        return any(now - seen >= SETTLED for seen in self._pool_seen.values())

    def _loop_turned(self) -> None:
        self._loop_seen = time.monotonic()
        # Each time, because an event loop that loses the connection to RabbitMQ may forget what it was to call soon.
        ledger_writer.writer().flush()
        job_log.write()


def _current_requests() -> list[Any]:
    """Return the requests that the worker has received and not finished.

    Not `state.requests`: it knows one request per id, so that a second message, once dropped, hides the running first.
    """
    while True:
        try:
            return [*state.reserved_requests, *state.active_requests]
        except RuntimeError:  # the event loop has changed a set meanwhile
            continue


_steward: Steward | None = None


@worker_init.connect
def _on_init(sender: Any, **_: Any) -> None:
    global _steward
    _steward = Steward(sender)
    _steward.start()
    retirement.install()
    ledger_writer.install(sender)


@worker_ready.connect
def _on_ready(**_: Any) -> None:
    logger.info("ready: %s", identity.worker_id())
    metrics.serve()


@worker_before_create_process.connect
def _before_fork(**_: Any) -> None:
    # What is there now is for good. Kept out of garbage collection, its pages stay shared with the pool processes.
    gc.freeze()


@worker_process_init.connect
def _in_pool_process(**_: Any) -> None:
    # A pool process inherits the flag, not the thread; it must not sign the worker off when it exits.
    global _steward
    _steward = None
    job_log.name_the_job()


@worker_shutting_down.connect
def _on_shutting_down(how: str, **_: Any) -> None:
    if _steward is not None:
        _steward.stopping = True
    if how == "Warm":
        # A cold shutdown cancels what still runs, and each cancelled job is due again in the ledger at once.
        patience = max(1.0, settings().stop_timeout - STOP_RESERVE)
        timer = threading.Timer(patience, os.kill, (os.getpid(), signal.SIGQUIT))
        timer.daemon = True
        timer.start()


@worker_shutdown.connect
def _on_shutdown(**_: Any) -> None:
    if _steward is not None:
        ledger_writer.writer().flush()
        job_log.write()
        _steward.stop()
