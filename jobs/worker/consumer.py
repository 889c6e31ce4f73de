"""Celery's consumer without its delayed delivery: 28 exchanges and queues for messages that wait in RabbitMQ.

In Warren a job that is for later waits in the ledger, and workers have no right to declare queues.
"""

import logging

from celery.worker import consumer

# A line when a job starts and a line when it ends are enough; that its message was fetched ahead is neither.
logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)


class Consumer(consumer.Consumer):
    """The consumer of the workers: ``worker_consumer = "jobs.worker.consumer:Consumer"``."""

    class Blueprint(consumer.Consumer.Blueprint):
        """The steps of its start."""

        default_steps = tuple(
            step for step in consumer.Consumer.Blueprint.default_steps if "delayed_delivery" not in str(step)
        )
