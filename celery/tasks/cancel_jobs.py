"""All jobs that match, cancelled."""

from functools import partial
from typing import Any

from jobs.catalogue import CancelFilter
from jobs.ledger import bulk, moves
from jobs.ledger.database import ledger
from jobs.task import JobTask, job

#: Seconds that it goes on trying to cancel some of the jobs, when the ledger cannot be written.
PATIENCE = 60.0


@job("cancel_jobs")
def cancel_jobs(task: JobTask, params: CancelFilter) -> dict[str, Any]:
    """Cancel the jobs that match now; return how many did, and how many had not ended before it was their turn."""
    with ledger().reading() as connection:
        found = bulk.matching(connection, params, task.request.id)
    cancelled = 0
    for seqs, done in bulk.chunks(found):
        cancelled += ledger().insist(partial(moves.cancel_all, seqs=seqs), PATIENCE)
        task.report(100 * done / len(found), f"{done} of {len(found)} jobs")
    return {"matched": len(found), "cancelled": cancelled}
