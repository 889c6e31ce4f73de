"""The Celery application: one configuration for the web's publisher, the workers and beat."""

from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu import Exchange, Queue

from jobs import logs
from jobs.catalogue import HEAVY, JOB_TYPES, QUEUES, places
from jobs.settings import settings

#: The one exchange that jobs are published to; the routing key is the queue's name.
EXCHANGE = "jobs"
#: How many times more messages a worker fetches ahead from the queue of the quick jobs.
QUICK_AHEAD = 2

app = Celery("warren", task_cls="jobs.task:JobTask", include=["jobs.worker.steward"])


class BoundedQueue(Queue):
    """A queue of which a worker holds a bounded number of messages at a time, running and fetched ahead together.

    Quorum queues know no limit for a whole channel, only one for each consumer, that is, for each queue of a worker. We
    make a bulkhead of that (Nygard, "Release It!"): however many long jobs wait, they cannot take every process.
    """

    attrs = (*Queue.attrs, ("prefetch", int))
    prefetch = 1

    def consume(self, *arguments: Any, **options: Any) -> Any:
        """Begin to take messages, no more than ``prefetch`` at a time."""
        self.channel.basic_qos(0, self.prefetch, False)
        return super().consume(*arguments, **options)


def prefetch(queue: str) -> int:
    """Return how many messages of a queue this worker may hold."""
    chosen = settings()
    run = places(queue, chosen.celery_queues, chosen.celery_concurrency)
    if QUEUES[queue] == 1:
        # Most of these jobs are quick, and many of them are claimed, run and acknowledged together.
        return run * chosen.celery_prefetch * QUICK_AHEAD
    return run * chosen.celery_prefetch if chosen.celery_queues == queue else run


# Declared by the broker's definitions; here only so that Celery knows them. Workers may not declare anything.
_exchange = Exchange(EXCHANGE, type="direct", no_declare=True)
_queues = [
    BoundedQueue(
        name,
        _exchange,
        routing_key=name,
        queue_arguments={"x-queue-type": "quorum"},
        no_declare=True,
        prefetch=prefetch(name),
    )
    for name in QUEUES
]

app.conf.update(
    broker_url=settings().broker_url,
    result_backend="jobs.worker.backend:LedgerBackend",
    # --- queues
    task_queues=_queues,
    task_default_queue=HEAVY,
    task_default_exchange=EXCHANGE,
    task_default_routing_key=HEAVY,
    task_create_missing_queues=False,
    task_routes={name: {"queue": job_type.queue} for name, job_type in JOB_TYPES.items()},
    # --- a message is acknowledged after the ledger has its result, and comes back when the process dies before
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_consumer="jobs.worker.consumer:Consumer",
    # A lost connection must not kill what runs: the ledger drops the second delivery.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # --- no request or worker waits for a silent broker for longer than this
    broker_connection_timeout=3,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_heartbeat=20,
    broker_transport_options={"read_timeout": 30, "write_timeout": 10},
    # The queue for it belongs to one connection and is on one server. When a machine is gone and comes back, RabbitMQ
    # may refuse it for up to a minute, and the worker would take no jobs meanwhile.
    worker_enable_remote_control=settings().remote_control,
    # --- the rest
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    result_expires=None,  # old rows are removed by the beat container
    worker_send_task_events=False,
    worker_redirect_stdouts=False,
    beat_max_loop_interval=1,
)


@setup_logging.connect
def _set_up_logging(loglevel: int, **_: Any) -> None:
    logs.install(loglevel)
