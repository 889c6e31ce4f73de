"""Groups of failed jobs: the tables ``failure`` and ``failure_hour``.

They are written in the transaction that ends a job as ``FAILURE`` or removes it. So they always fit the jobs, and
nobody has to count these. Jobs that failed under an earlier version of the schema are in no group.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Row, Select, bindparam, case, delete, func, select, update

from jobs.fingerprint import Fingerprint
from jobs.ledger import upsert
from jobs.ledger.records import FailureGroup
from jobs.ledger.schema import failure, failure_hour, job

#: Groups that are shown.
MOST = 100
#: Hours of the history.
HOURS = 24

_LEAVE = update(failure).where(failure.c.key == bindparam("group")).values(jobs=failure.c.jobs - bindparam("removed"))


def add(connection: Connection, found: Fingerprint, task_type: str, at: float) -> None:
    """Count a job that has just failed in its group, and in the hour of ``at``."""
    in_group, in_hour = _count(connection.dialect.name)
    connection.execute(
        in_group,
        {"key": found.key, "type": task_type, "message": found.message, "jobs": 1, "first_at": at, "last_at": at},
    )
    hour = _hour(at)
    connection.execute(in_hour, {"key": found.key, "slot": hour % HOURS, "hour": hour, "jobs": 1})


def leave(connection: Connection, removed: Mapping[str, int]) -> None:
    """Take jobs that are removed out of their groups: so many, by the key of the group. An empty group goes as well."""
    keys = sorted(removed)
    connection.execute(_LEAVE, [{"group": key, "removed": removed[key]} for key in keys])
    empty = delete(failure).where(failure.c.key.in_(keys), failure.c.jobs <= 0).returning(failure.c.key)
    gone = connection.execute(empty).scalars().all()
    if gone:
        connection.execute(delete(failure_hour).where(failure_hour.c.key.in_(gone)))


def newest(connection: Connection) -> list[FailureGroup]:
    """Return the groups in which a job has failed last, the latest first, at most :data:`MOST`."""
    rows = connection.execute(_groups().order_by(failure.c.last_at.desc(), failure.c.key.desc()).limit(MOST)).all()
    return _with_history(connection, rows)


def find(connection: Connection, key: str) -> FailureGroup | None:
    """Return one group, if there is one with that key."""
    if "\0" in key:  # PostgreSQL refuses the very question
        return None
    found = _with_history(connection, connection.execute(_groups().where(failure.c.key == key)).all())
    return found[0] if found else None


@cache
def _count(dialect: str) -> tuple[Executable, Executable]:
    """Return the statements that begin a row, or count in it: of the group, and of its hour. Prepared only once."""
    group, hour = upsert.insert(dialect, failure), upsert.insert(dialect, failure_hour)
    same_hour = failure_hour.c.hour == hour.excluded.hour
    return (
        group.on_conflict_do_update(
            index_elements=[failure.c.key],
            set_={"jobs": failure.c.jobs + 1, "last_at": group.excluded.last_at},
        ),
        hour.on_conflict_do_update(
            index_elements=[failure_hour.c.key, failure_hour.c.slot],
            set_={"hour": hour.excluded.hour, "jobs": case((same_hour, failure_hour.c.jobs + 1), else_=1)},
        ),
    )


def _groups() -> Select[Any]:
    """Return the question for groups, each with the job that was accepted last: one step along an index for each."""
    of_group = job.alias("of_group")
    last = select(func.max(of_group.c.seq)).where(of_group.c.failure == failure.c.key)
    example = job.c.seq == last.correlate(failure).scalar_subquery()
    return select(failure, job.c.id.label("job_id"), job.c.error).join_from(failure, job, example)


def _with_history(connection: Connection, rows: Sequence[Row[Any]]) -> list[FailureGroup]:
    first = _hour(time.time()) - HOURS + 1
    history = {row.key: [0] * HOURS for row in rows}
    hours = select(failure_hour).where(failure_hour.c.key.in_(history), failure_hour.c.hour >= first)
    for row in connection.execute(hours):
        place = row.hour - first
        if place < HOURS:  # else the clock was put back
            history[row.key][place] = row.jobs
    return [FailureGroup(**row._mapping, history=history[row.key]) for row in rows]


def _hour(at: float) -> int:
    return int(at // 3600)
