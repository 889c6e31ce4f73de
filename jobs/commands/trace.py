"""The story of one job: ``python -m jobs.commands.trace ID``, for ``ops/trace.sh``, in the web container.

The logs of all containers come on standard input, each line after the name of its container and a space.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from jobs.commands.story import Moment, in_order, missing, told_by_ledger, told_by_logs
from jobs.ledger import attempts, mails, pauses, queries, reports, search
from jobs.ledger.database import ledger
from jobs.ledger.records import Attempt, Job
from jobs.ledger.reports import Report
from jobs.question import Question

#: Characters of an id that are enough, if no other job's begins so.
SHORTEST = 8


class NoSuchJob(Exception):
    """There is not exactly one job of that id: the message says what there is."""


def find(connection: Connection, wanted: str) -> Job:
    """Return the job of that id, or the only one whose id begins so. Raises :class:`NoSuchJob`."""
    job = queries.find(connection, wanted)
    if job is not None:
        return job
    if len(wanted) < SHORTEST:
        raise NoSuchJob(f"{wanted!r} is too short for the beginning of an id: give {SHORTEST} characters or more")
    # PostgreSQL refuses the very question for a NUL character.
    found = search.page(connection, Question(ids=(wanted,)), limit=2).jobs if "\0" not in wanted else []
    if len(found) == 1:
        return found[0]
    if found:
        raise NoSuchJob(f"the ids of several jobs begin with {wanted!r}: give more of it")
    raise NoSuchJob(f"the ledger has no job whose id is {wanted!r}, or begins so")


def hints(connection: Connection, job: Job) -> list[str]:
    """Return what else the ledger knows, without a time: why the job waits, and what became of its mails."""
    found = []
    if not job.ended and job.queue in pauses.paused(connection):
        found.append(f"The queue {job.queue} is paused.")
    if not job.ended and job.due_at is not None:
        found.append(f"It is due at {datetime.fromtimestamp(job.due_at, UTC).isoformat(timespec='seconds')}.")
    counts = mails.counts(connection, job.id)
    if counts != mails.MailCounts():
        found.append(f"Mails: {counts.sent} sent, {counts.failed} failed, {counts.uncertain} uncertain.")
    return found


def as_text(job: Job, story: Sequence[Moment], notes: Sequence[str]) -> str:
    """Return the story for people: times are UTC, and each has the milliseconds since the one before."""
    lines = [f"{job.type} {job.id}: {job.state}, request {job.request_id or 'unknown'}", ""]
    width = max(len(moment.where) for moment in story)
    for moment, gap in zip(story, _gaps(story), strict=True):
        shown = "" if gap is None else f"+{gap} ms"
        lines.append(
            f"{moment.at:%F %T}.{moment.milliseconds % 1000:03}  {shown:>11}  {moment.where:<{width}}  {moment.what}"
        )
    if notes:
        lines += ["", *notes]
    return "\n".join(lines)


def as_json(job: Job, story: Sequence[Moment], notes: Sequence[str]) -> str:
    """Return the story for programs."""
    moments: list[dict[str, Any]] = [
        {"time": _iso(moment), "gap_ms": gap, "where": moment.where, "what": moment.what, "line": moment.line or None}
        for moment, gap in zip(story, _gaps(story), strict=True)
    ]
    about = {"task_id": job.id, "task_type": job.type, "state": job.state, "request_id": job.request_id}
    return json.dumps({**about, "story": moments, "notes": notes})


def _iso(moment: Moment) -> str:
    return moment.at.isoformat(timespec="milliseconds")


def _gaps(story: Sequence[Moment]) -> list[int | None]:
    """Return the milliseconds from the moment before to each of them."""
    return [None, *(after.milliseconds - before.milliseconds for before, after in pairwise(story))]


def trace(
    job: Job, past: Sequence[Attempt], lines: Iterable[str], everything: bool, progress: Sequence[Report] = ()
) -> tuple[list[Moment], list[str]]:
    """Return the story of a job, and what there is to say about its gaps."""
    told = list(told_by_logs(job, lines))
    story = [moment for moment in told if everything or not moment.aside]
    notes = list(missing(job, past, told))
    left_out = (len(told) - len(story)) // 2
    if left_out:
        notes.append(f"Left out: {left_out} requests that only looked at the job. To see them: --all")
    return in_order([*told_by_ledger(job, past, progress), *story]), notes


def main() -> int:
    """Print the story; return the exit code."""
    parser = argparse.ArgumentParser(prog="ops/trace.sh", description="The story of one job.")
    parser.add_argument("id", help="the job's id, or 8 or more characters of its beginning")
    parser.add_argument("--all", action="store_true", help="show requests that only looked at the job, too")
    parser.add_argument("--json", action="store_true", help="print JSON, for other programs")
    arguments = parser.parse_args()
    try:
        with ledger().reading() as connection:
            job = find(connection, arguments.id)
            past = attempts.past(connection, job.id)
            progress = reports.of_job(connection, job.id)
            notes = hints(connection, job)
    except NoSuchJob as error:
        print(
            f"error: {error}\n\nA job stays in the ledger for RESULT_EXPIRES seconds after its end. "
            "The newest jobs are on the dashboard, and at /flask/tasks",
            file=sys.stderr,
        )
        return 1
    except SQLAlchemyError as error:
        print(f"error: the ledger cannot be read: {error}\n\nLook with: docker ps", file=sys.stderr)
        return 1
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # a log may hold anything
    story, gaps = trace(job, past, sys.stdin, arguments.all, progress)
    print((as_json if arguments.json else as_text)(job, story, notes + gaps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
