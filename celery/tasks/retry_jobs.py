"""All jobs that match, run once more."""

from typing import Any

from jobs.catalogue import RetryFilter
from jobs.errors import JobFailed
from jobs.ledger import bulk, moves, queries
from jobs.ledger.database import ledger
from jobs.settings import settings
from jobs.task import JobTask, job


@job("retry_jobs")
def retry_jobs(task: JobTask, params: RetryFilter) -> dict[str, Any]:
    """Submit the jobs that match now as new ones; return how many they are.

    It waits, and goes on later, while the backlog has no room for them.
    """
    with ledger().reading() as connection:
        found = bulk.matching(connection, params, task.request.id)
    for seqs, done in bulk.chunks(found):
        with ledger().writing() as connection:
            new = bulk.again(connection, seqs, task.request.id)
            if queries.backlog(connection) + len(new) > settings().backlog_limit:
                raise task.retry(exc=JobFailed("The backlog has no room for all of them."))
            if new:
                moves.add(connection, *new)
        task.report(100 * done / len(found), f"{done} of {len(found)} jobs")
    return {"submitted": len(found)}
