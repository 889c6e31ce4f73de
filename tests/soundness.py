"""What must hold of a ledger at every moment, whatever was cut short: asked of the database itself."""

from typing import Any

from jobs import states


def _any_of(names: tuple[str, ...]) -> str:
    return f"({', '.join(repr(name) for name in names)})"


#: Jobs that must not be, as conditions on their rows.
UNSOUND = {
    "ended without a time, or with one before its end": (
        f"(state IN {_any_of(states.ENDED)}) != (ended_at IS NOT NULL)"
    ),
    "ended, and yet to be published": f"state IN {_any_of(states.ENDED)} AND due_at IS NOT NULL",
    "waiting, and neither due nor handed to the broker": (
        f"state IN {_any_of(states.WAITING)} AND due_at IS NULL AND published_at IS NULL"
    ),
    "waiting, and held by a worker": f"state IN {_any_of(states.WAITING)} AND worker IS NOT NULL",
    "running, and held by nobody": f"state IN {_any_of(states.RUNNING)} AND worker IS NULL",
    "running, and due": f"state IN {_any_of(states.RUNNING)} AND due_at IS NOT NULL",
    "ended well, and never claimed": f"state = '{states.SUCCESS}' AND attempts = 0",
    "more deaths and retries than claims": "deaths + retries > attempts",
    "in no known state": f"state NOT IN {_any_of(states.ALL)}",
}


def faults(connection: Any) -> list[str]:
    """Return what is wrong with a ledger on SQLite, by a connection of its driver; nothing, if all is well."""
    found = [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
    for what, condition in UNSOUND.items():
        ids = [job_id for (job_id,) in connection.execute(f"SELECT id FROM job WHERE {condition} LIMIT 10")]
        if ids:
            found.append(f"{what}: {', '.join(ids)}")
    return found
