"""Makes the jobs of schedules whose slot has come."""

import time

from celery.utils.log import get_logger

from jobs import logs
from jobs.catalogue import HEAVY, JOB_TYPES
from jobs.ledger import schedules
from jobs.ledger.database import ledger

logger = get_logger(__name__)


def make_jobs() -> None:
    """Make one job for each schedule that is due. Raises :class:`sqlalchemy.exc.SQLAlchemyError`."""
    now = time.time()
    with ledger().reading() as connection:
        due = schedules.due(connection, now)
    for schedule in due:
        # A kind that the catalogue does not have any more: the job will say so, as a FAILURE.
        queue = JOB_TYPES[schedule.type].queue if schedule.type in JOB_TYPES else HEAVY
        with ledger().writing() as connection:
            job_id = schedules.take_slot(connection, schedule, queue, now)
        if job_id is not None:
            logs.tell(logger, "made by its schedule", task_id=job_id, task_type=schedule.type, schedule=schedule.name)
