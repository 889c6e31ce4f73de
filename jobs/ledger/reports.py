"""What runs have reported of their progress: the table ``report``. The job's own row has the newest report only.

Of each twentieth of a run's way the first report is kept. One of 0 percent tells nothing that the beginning of the run
does not: so jobs that are over before they have come anywhere cost nothing here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from jobs.ledger import upsert
from jobs.ledger.schema import report

#: Parts of a run's way.
PARTS = 20
#: Characters of a message that are kept.
LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class Report:
    """How far a run had come."""

    #: Which run: 1 is the first.
    run: int
    #: Seconds since the epoch.
    at: float
    #: 1 to 100.
    percent: int
    #: A few words.
    message: str

    def __str__(self) -> str:
        return f"{self.percent} %, {self.message}" if self.message else f"{self.percent} %"


def add(connection: Connection, job_id: str, told: Report) -> None:
    """Keep a report, unless the run has told of this part of its way already, or of none."""
    if told.percent > 0:
        row = {
            "job_id": job_id,
            "run": told.run,
            "part": min(told.percent * PARTS // 100, PARTS - 1),
            "at": told.at,
            "percent": told.percent,
            "message": told.message[:LONGEST],
        }
        connection.execute(upsert.insert(connection.dialect.name, report).on_conflict_do_nothing(), row)


def of_job(connection: Connection, job_id: str) -> list[Report]:
    """Return what the runs of a job have reported, first to last."""
    columns = (report.c.run, report.c.at, report.c.percent, report.c.message)
    rows = connection.execute(select(*columns).where(report.c.job_id == job_id).order_by(report.c.run, report.c.part))
    return [Report(**row._mapping) for row in rows]


def remove(connection: Connection, job_ids: Sequence[str]) -> None:
    """Delete what the runs of these jobs have reported."""
    connection.execute(delete(report).where(report.c.job_id.in_(job_ids)))
