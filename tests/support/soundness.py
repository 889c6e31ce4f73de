"""Rules that a ledger must keep at every moment, even after a crash. The database itself checks them."""

from collections.abc import Callable, Iterable
from typing import Any

from jobs import states
from jobs.states import State

#: A function that runs a statement and returns its rows, such as `execute` of a driver's connection.
Execute = Callable[[str], Iterable[Any]]


def _any_of(names: Iterable[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"({quoted})"


#: Jobs that must not exist, as conditions on their rows.
UNSOUND = {
    "ended without a time of its end, or has one and has not ended": (
        f"(state IN {_any_of(states.ENDED)}) != (ended_at IS NOT NULL)"
    ),
    "ended, and due to be published": f"state IN {_any_of(states.ENDED)} AND due_at IS NOT NULL",
    "waiting, and neither due nor published": (
        f"state IN {_any_of(states.WAITING)} AND due_at IS NULL AND published_at IS NULL"
    ),
    "waiting, and held by a worker": f"state IN {_any_of(states.WAITING)} AND worker IS NOT NULL",
    "running, and held by no worker": f"state IN {_any_of(states.RUNNING)} AND worker IS NULL",
    "running, and due": f"state IN {_any_of(states.RUNNING)} AND due_at IS NOT NULL",
    "ended well, and never claimed": f"state = '{State.SUCCESS}' AND attempts = 0",
    "more deaths and retries than claims": "deaths + retries > attempts",
    "in no known state": f"state NOT IN {_any_of(State)}",
}


_QUESTION = f"""
SELECT CASE {" ".join(f"WHEN {condition} THEN '{what}'" for what, condition in UNSOUND.items())} END, id
FROM job WHERE {" OR ".join(f"({condition})" for condition in UNSOUND.values())}
LIMIT 100
"""


def unsound_jobs(execute: Execute) -> list[str]:
    """Return each job that breaks a rule, and which rule."""
    return [f"{job_id}: {what}" for what, job_id in execute(_QUESTION)]


def faults(execute: Execute) -> list[str]:
    """Return what is wrong with a ledger on SQLite: in its pages and indexes, or in its jobs."""
    found = [str(line) for (line,) in execute("PRAGMA integrity_check") if line != "ok"]
    return found + unsound_jobs(execute)
