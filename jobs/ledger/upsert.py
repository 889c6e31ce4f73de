"""``INSERT`` of rows that may be there already. Both databases know ``ON CONFLICT``; in SQLAlchemy it differs."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an ``INSERT`` that can be told what to do with a row that is there."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
