"""People who may log in: the table ``account``."""

import secrets
import time
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from jobs.ledger.database import take_turn
from jobs.ledger.records import Account
from jobs.ledger.schema import account


def add(connection: Connection, name: str, password_hash: str, role: str) -> bool:
    """Write an account; ``False`` if the name is taken."""
    take_turn(connection)
    if find(connection, name) is not None:
        return False
    connection.execute(
        insert(account).values(
            name=name, password_hash=password_hash, role=role, stamp=_new_stamp(), created_at=time.time()
        )
    )
    return True


def find(connection: Connection, name: str) -> Account | None:
    """Return one account, if there is one of that name."""
    row = connection.execute(select(account).where(account.c.name == name)).first()
    return _account(row) if row is not None else None


def everybody(connection: Connection) -> list[Account]:
    """Return all accounts, by name."""
    return [_account(row) for row in connection.execute(select(account).order_by(account.c.name))]


def count(connection: Connection) -> int:
    """Return how many there are."""
    return connection.execute(select(func.count()).select_from(account)).scalar_one()


def change_password(connection: Connection, name: str, password_hash: str) -> bool:
    """Give somebody another password, and end all their sessions; ``False`` if there is no such account."""
    return _change(connection, name, password_hash=password_hash, stamp=_new_stamp())


def end_sessions(connection: Connection, name: str) -> bool:
    """End all sessions of somebody; ``False`` if there is no such account."""
    return _change(connection, name, stamp=_new_stamp())


def note_login(connection: Connection, name: str) -> None:
    """Note that somebody has just logged in."""
    _change(connection, name, last_login_at=time.time())


def remove(connection: Connection, name: str) -> bool:
    """Delete an account, which ends its sessions; ``False`` if there is none."""
    return connection.execute(delete(account).where(account.c.name == name)).rowcount == 1


def _change(connection: Connection, name: str, **values: Any) -> bool:
    return connection.execute(update(account).where(account.c.name == name).values(**values)).rowcount == 1


def _new_stamp() -> str:
    return secrets.token_hex(16)


def _account(row: Row[Any]) -> Account:
    return Account(**row._mapping)
