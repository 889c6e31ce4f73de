"""What programs send in place of a click: commands to copy from the page of a job."""

import json
from shlex import quote
from typing import Any

from jobs.catalogue import JOB_TYPES
from jobs.ledger.records import Job, Priority


def look(address: str, job: Job, *, login: bool) -> str:
    """Return the command that asks for everything about a job. ``address`` is the stack's, with a slash at its end."""
    return _curl(f"{address}flask/tasks/{job.id}", login)


def submit(address: str, job: Job, *, login: bool) -> str | None:
    """Return the command that submits a job like this one, or ``None`` if the catalogue has that kind no more."""
    if job.type not in JOB_TYPES:
        return None
    body: dict[str, Any] = {"task_type": job.type, "input_params": job.params}
    if job.priority > Priority.NORMAL and not JOB_TYPES[job.type].control:
        body["priority"] = Priority(job.priority).word
    content = f"--data {quote(json.dumps(body, ensure_ascii=False))}"
    return _curl(f"{address}flask/tasks", login, "--request POST", "--header 'Content-Type: application/json'", content)


def _curl(address: str, login: bool, *options: str) -> str:
    """Return a command, with a variable for the token where people log in."""
    token = ('--header "Authorization: Bearer $token"',) if login else ()
    return " ".join(("curl", *token, *options, quote(address)))
