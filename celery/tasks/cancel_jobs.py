"""All jobs that match, cancelled."""

from typing import Any

from jobs.catalogue import CancelFilter
from jobs.ledger import bulk, moves
from jobs.ledger.database import ledger
from jobs.task import JobTask, job


@job("cancel_jobs")
def cancel_jobs(task: JobTask, params: CancelFilter) -> dict[str, Any]:
    """Cancel the jobs that match now; return how many did, and how many had not ended before it was their turn."""
    with ledger().reading() as connection:
        found = bulk.matching(connection, params, task.request.id)
    cancelled = 0
    for seqs, done in bulk.chunks(found):
        with ledger().writing() as connection:
            cancelled += moves.cancel_all(connection, seqs)
        task.report(100 * done / len(found), f"{done} of {len(found)} jobs")
    return {"matched": len(found), "cancelled": cancelled}
