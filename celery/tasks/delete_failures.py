"""A group of failed jobs, deleted."""

from typing import Any

from jobs.catalogue import FailureFilter
from jobs.ledger import expiry, failures, queries
from jobs.ledger.database import ledger
from jobs.task import JobTask, job


@job("delete_failures")
def delete_failures(task: JobTask, params: FailureFilter) -> dict[str, Any]:
    """Delete the jobs of a group that had failed when this was asked for; return how many this run has deleted.

    The ledger has this job's own end on disk, and so all that was deleted before.
    """
    with ledger().reading() as connection:
        asked = queries.find(connection, task.request.id)
        group = failures.find(connection, params.failure)
    deleted = 0
    if asked is not None and group is not None:
        for jobs in expiry.remove_failed(ledger(), group.key, asked.created_at):
            deleted += jobs
            task.report(min(100 * deleted / group.jobs, 100), f"{deleted} of {group.jobs} jobs")
    return {"deleted": deleted}
