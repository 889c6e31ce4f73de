"""A copy of a whole ledger, from one database into another one."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Connection, String, Table, func, insert, select, text

from jobs.errors import storable
from jobs.ledger import words
from jobs.ledger.schema import audit, export_chunk, export_file, job, metadata, search_gap, todo

#: Rows in memory at a time.
CHUNK = 2000
#: What is copied. Which jobs the index of words has is not: it is made anew. Nor are files: SQLite's ledger has none.
TABLES = [table for table in metadata.sorted_tables if table not in (search_gap, export_file, export_chunk)]
#: What the database numbers by itself.
NUMBERED: tuple[Column[Any], ...] = (job.c.seq, todo.c.id, audit.c.seq)


def copy(source: Connection, target: Connection) -> None:
    """Copy all rows into tables that are empty. Both databases have the same revision of the schema."""
    for table in TABLES:
        for rows in _chunks(source, table):
            target.execute(insert(table), rows)
    for column in NUMBERED:
        _set_last_number(target, column, _last_number(source, column))
    words.begin_anew(target)


def counts(connection: Connection) -> dict[str, int]:
    """Count the rows of each table that is copied."""
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES}


def revision(connection: Connection) -> str | None:
    """Return the revision of the schema; ``None`` if there is none yet."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _chunks(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    ordered = select(table).order_by(*table.primary_key).execution_options(yield_per=CHUNK)
    texts = [column.name for column in table.columns if isinstance(column.type, String)]
    for rows in connection.execute(ordered).mappings().partitions():
        chunk = [dict(row) for row in rows]
        for row in chunk:
            # SQLite takes what other databases do not.
            row.update((name, storable(row[name])) for name in texts if row[name] is not None)
        yield chunk


# A number that was given once is not given again, also when its row is gone.


def _last_number(connection: Connection, column: Column[Any]) -> int:
    if connection.dialect.name == "sqlite":
        last = text("SELECT seq FROM sqlite_sequence WHERE name = :table").bindparams(table=column.table.name)
    else:
        last = text("SELECT pg_sequence_last_value(CAST(:sequence AS regclass))").bindparams(sequence=_sequence(column))
    return connection.execute(last).scalar() or 0


def _set_last_number(connection: Connection, column: Column[Any], number: int) -> None:
    if number == 0:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": column.table.name})
        new = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :number)")
        connection.execute(new, {"table": column.table.name, "number": number})
    else:
        new = text("SELECT setval(CAST(:sequence AS regclass), :number)")
        connection.execute(new, {"sequence": _sequence(column), "number": number})


def _sequence(column: Column[Any]) -> str:
    return f"{column.table.name}_{column.name}_seq"
