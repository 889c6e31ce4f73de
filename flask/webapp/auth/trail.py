"""Writing down who did what, in the same transaction as the change itself. Nothing where nobody has to log in."""

import time
from collections.abc import Callable
from typing import TypeVar

from flask import request
from sqlalchemy import Connection

from jobs.ledger import audit
from jobs.ledger.records import AuditEntry, Role
from webapp.auth.actor import actor

T = TypeVar("T")


def entry(action: str, subject: str, detail: str = "") -> AuditEntry | None:
    """Return what the audit is to say of the present request; ``None`` where nobody has to log in."""
    asking = actor()
    if asking is None:
        return None
    return AuditEntry(
        at=time.time(),
        who=asking.who,
        role=asking.role.word,
        address=address(),
        action=action,
        subject=subject[:128],
        detail=detail,
    )


def noted(action: str, subject: str, work: Callable[[Connection], T], detail: str = "") -> Callable[[Connection], T]:
    """Return ``work`` with its audit. It was refused if it returns ``None`` or ``False``."""
    told = entry(action, subject, detail)
    if told is None:
        return work

    def both(connection: Connection) -> T:
        value = work(connection)
        audit.add(connection, told._replace(outcome="refused") if value is None or value is False else told)
        return value

    return both


def by_script(script: str, action: str, subject: str, detail: str = "") -> AuditEntry:
    """Return what the audit is to say of a script of the machine: whoever may run it may do everything."""
    return AuditEntry(
        at=time.time(),
        who=script,
        role=Role.ADMIN.word,
        address="the machine",
        action=action,
        subject=subject,
        detail=detail,
    )


def address() -> str:
    """Return where the request came from, as Nginx has seen it."""
    environ = request.environ
    return str(environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR") or "unknown")[:64]
