"""Ledgers as earlier versions of Warren have left them: at any revision of the schema, with rows in all tables.

Tables and columns are read from the database itself. So a new migration needs nothing here.
"""

from itertools import count
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, insert

from jobs.commands.migrate import MIGRATIONS
from jobs.ledger.database import Ledger
from jobs.states import ENDED, State

#: Every revision of the schema, first to last.
REVISIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]

#: How the tables of SQLite's index of words begin. What they have follows from the jobs.
INDEX = "job_words"

#: Rows in each table but that of the jobs.
ROWS = 3

_NOON = 1_700_000_000.0


def _job(state: State, **more: Any) -> dict[str, Any]:
    return {
        "type": "heavy",
        "queue": "heavy",
        "params": {"seconds": 1.5, "text": "Grüße"},
        "state": state,
        "created_at": _NOON,
        "attempts": 0,
    } | more


_STARTED = {"published_at": _NOON + 1, "started_at": _NOON + 2, "attempts": 1}
_HELD = _STARTED | {"worker": "w.1"}
_ENDED = _HELD | {"ended_at": _NOON + 4}

#: One job in each situation, by its id: the columns of the first release that have a value.
JOBS = {
    f"{number:08}-0000-4000-8000-000000000000": row
    for number, row in enumerate(
        [
            _job(State.PENDING, due_at=_NOON + 5),
            _job(State.PENDING, published_at=_NOON + 1),
            _job(State.PENDING, run_at=_NOON + 9, due_at=_NOON + 9),
            _job(State.STARTED, **_HELD),
            _job(State.PROGRESS, progress=40, info={"percent": 40, "message": "row 4 of 10"}, **_HELD),
            _job(State.RETRY, due_at=_NOON + 9, retries=1, error="Not yet.", **_STARTED),
            _job(State.RETRY, deaths=1, error="The worker was lost; the job is run again.", **_STARTED),
            _job(State.SUCCESS, progress=100, result={"csv_path": "x.csv", "count": 3}, **_ENDED),
            _job(State.SUCCESS, progress=100, result=None, **_ENDED),
            _job(State.FAILURE, error="Division by zero.", **_ENDED),
            _job(State.REVOKED, ended_at=_NOON + 4, error="Cancelled on request."),
        ]
    )
}

UNFINISHED = {job_id for job_id, row in JOBS.items() if row["state"] not in ENDED}
#: What rows of other tables belong to.
ENDED_JOBS = [job_id for job_id in JOBS if job_id not in UNFINISHED]


def fill(ledger: Ledger) -> None:
    """Write rows into all tables that the ledger has."""
    with ledger.writing() as connection:
        for table in tables(ledger):
            numbers = count(1)
            rows: list[dict[str, Any]]
            if table.name == "job":
                rows = [{"id": job_id} | row for job_id, row in JOBS.items()]
            else:
                rows = [{} for _ in range(ROWS)]
            for row, number in zip(rows, numbers, strict=False):
                made = {
                    column.name: _value(column, number)
                    for column in table.columns
                    if column.name not in row and (table.name != "job" or _needed(column))
                }
                connection.execute(insert(table), made | row)


def tables(ledger: Ledger) -> list[Table]:
    """Return the tables that the ledger has, with the columns that they have there."""
    found = MetaData()
    with ledger.reading() as connection:
        found.reflect(connection, only=lambda name, _: not name.startswith(INDEX))
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def of_the_schema(name: str | None, kind: str, _parents: object) -> bool:
    """Tell Alembic whether to compare something: what it takes as ``include_name``."""
    return kind != "table" or not (name or "").startswith(INDEX)


def contents(ledger: Ledger, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    """Return the rows of a table as the database has stored them, in a fixed order."""
    with ledger.reading() as connection:
        rows = connection.exec_driver_sql(f"SELECT {', '.join(columns)} FROM {table}")
        return sorted((tuple(row) for row in rows), key=repr)


def _needed(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None and not column.primary_key


def _value(column: Column[Any], number: int) -> Any:
    """Make up a value that fits into the column."""
    if column.name == "job_id":
        return ENDED_JOBS[number - 1]
    if column.name == "deleted_at":  # what is deleted is not shown
        return None
    for kind, value in _VALUES:
        if isinstance(column.type, kind):
            return value(number)
    return f"{column.name} {number}"


_VALUES: list[tuple[type[Any], Any]] = [
    (Boolean, lambda number: number % 2 == 0),
    (Float, lambda number: _NOON + number),
    (Integer, lambda number: number),
    (JSON, lambda number: {"number": number}),
    (LargeBinary, lambda number: b"\0" * number),
]
