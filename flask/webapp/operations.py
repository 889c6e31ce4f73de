"""What programs and people do alike with jobs and to-dos: find, list, change. What cannot be done is a problem."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection

from jobs.catalogue import JOB_TYPES, QUEUES, FailureFilter, RetryFilter
from jobs.ledger import attempts, audit, failures, moves, pauses, queries, reports, schedules, search, todos, tracebacks
from jobs.ledger.database import ledger
from jobs.ledger.records import Attempt, AuditEntry, FailureGroup, Job, NewJob, Schedule, Todo
from jobs.ledger.reports import Report
from jobs.question import read
from jobs.states import State
from webapp.auth import trail
from webapp.auth.actor import who
from webapp.auth.trail import noted
from webapp.intake import intake, new_job
from webapp.models.jobs import JobsQuery
from webapp.models.schedules import NewSchedule, ScheduleChange
from webapp.models.service import AuditQuery
from webapp.models.submissions import Submission
from webapp.models.todos import NewTodo, TodoChange, TodosQuery
from webapp.paging import cursor_after, cursor_before, place_of, position_of
from webapp.problems import Problem, checked, field_problem
from webapp.request_id import request_id

Row = TypeVar("Row")

# --- jobs -------------------------------------------------------------------------------------------------------------


def find_job(task_id: str) -> Job:
    """Return a job. Raises a 404 problem for an id that the ledger does not know."""
    with ledger().reading() as connection:
        job = queries.find(connection, task_id)
    return _found(job, f"job with the id {task_id!r}")


class Belongings(NamedTuple):
    """What the ledger has of a job besides its row."""

    #: The attempts that ended in another one, first to last.
    past: Sequence[Attempt]
    #: What its runs have reported of their progress, first to last.
    reports: Sequence[Report]
    #: Where its exception came from, if it failed by one.
    traceback: str | None
    #: The ids of the jobs that repeat it, newest first.
    retried_as: Sequence[str]


def belongings_of(connection: Connection, job: Job) -> Belongings:
    """Return what belongs to a job. What cannot be there is not looked for."""
    return Belongings(
        past=attempts.past(connection, job.id),
        reports=reports.of_job(connection, job.id),
        traceback=tracebacks.find(connection, job.id) if job.state is State.FAILURE else None,
        retried_as=queries.retries_of(connection, job.id) if job.retryable else [],
    )


class JobsPage(NamedTuple):
    """A page of jobs, newest first, and the cursors of the pages of older and of newer jobs, if there are any."""

    jobs: list[Job]
    older: str | None = None
    newer: str | None = None
    #: When a search was stopped before the page was full: only jobs accepted since then were looked at.
    back_to: float | None = None


def list_jobs(query: JobsQuery) -> JobsPage:
    """Return a page of jobs. Raises a 422 problem for a wrong cursor."""
    question = read(query.q or "").narrowed(query.status, query.task_type, query.scheduled)
    word, position = place_of(query.cursor) if query.cursor is not None else ("after", None)
    before, after = (None, position) if word == "before" else (position, None)
    with ledger().reading() as connection:
        found = search.page(connection, question, limit=query.limit, before=before, after=after, failure=query.failure)
    return JobsPage(
        found.jobs,
        older=cursor_after(found.older) if found.older is not None else None,
        newer=cursor_before(found.newer) if found.newer is not None else None,
        back_to=found.back_to,
    )


def cancel_job(task_id: str) -> Job:
    """Cancel a job and return it. Raises a 404 or 409 problem."""
    was = intake().write(noted("cancel", task_id, lambda connection: moves.cancel(connection, task_id)))
    job = find_job(task_id)
    if was is None:
        raise Problem(409, f"The job has ended already: {job.state}.", state=job.state)
    return job


def withdraw_job(task_id: str) -> None:
    """Take back a job that has not begun. Raises a 404 problem, or 409 if it has."""
    if not intake().write(noted("cancel", task_id, lambda connection: moves.withdraw(connection, task_id))):
        job = find_job(task_id)
        raise Problem(409, f"It is too late to undo that: the job is {job.state}.", state=job.state)


def retry_job(task_id: str) -> str:
    """Submit a failed or cancelled job again, and return the id of the new one. Raises a 404, 409 or 503 problem."""
    job = find_job(task_id)
    if not job.retryable:
        raise Problem(409, f"Only a FAILURE or REVOKED job can be retried; this one is {job.state}.", state=job.state)
    again = NewJob(
        type=job.type,
        queue=job.queue,
        params=job.params,
        priority=job.priority,
        request_id=request_id(),
        submitted_by=who(),
        retry_of=job.id,
    )
    return intake().accept(again, told=trail.entry("retry", task_id, f"As {again.id}."))


# --- failures ---------------------------------------------------------------------------------------------------------


def list_failures() -> list[FailureGroup]:
    """Return the groups of failures, the latest first."""
    with ledger().reading() as connection:
        return failures.newest(connection)


def retry_failures(key: str) -> str:
    """Run all jobs of a group of failures again that were not run again yet; return the id of the job that does it.

    Raises a 404, 429 or 503 problem.
    """
    _find_group(key)
    return intake().accept(new_job(JOB_TYPES["retry_jobs"], RetryFilter(failure=key)))


def delete_failures(key: str) -> str:
    """Delete all jobs of a group of failures for good; return the id of the job that does it.

    Raises a 404, 429 or 503 problem.
    """
    group = _find_group(key)
    new = new_job(JOB_TYPES["delete_failures"], FailureFilter(failure=group.key))
    detail = f"{group.jobs} jobs, {group.type}: {group.message} By the job {new.id}."
    return intake().accept(new, told=trail.entry("delete_failures", group.key, detail))


def _find_group(key: str) -> FailureGroup:
    with ledger().reading() as connection:
        return _found(failures.find(connection, key), f"group of failures with the key {key[:50]!r}")


# --- queues -----------------------------------------------------------------------------------------------------------


def check_queue(name: str) -> None:
    """Raise a 404 problem if there is no queue of that name."""
    if name not in QUEUES:
        raise _not_found(f"queue called {name[:50]!r}")


def pause_queue(name: str, pause: bool) -> None:
    """Have no job of a queue started any more, or have them started again. Raises a 404 problem."""
    check_queue(name)

    def change(connection: Connection) -> bool:
        (pauses.pause if pause else pauses.resume)(connection, name)
        return True

    intake().write(noted("pause" if pause else "resume", name, change))


# --- recurring jobs ---------------------------------------------------------------------------------------------------


def find_schedule(name: str) -> Schedule:
    """Return a recurring job. Raises a 404 problem."""
    with ledger().reading() as connection:
        return _found(schedules.find(connection, name), _schedule_called(name))


def list_schedules() -> list[Schedule]:
    """Return all recurring jobs, by name."""
    with ledger().reading() as connection:
        return schedules.all_of_them(connection)


def add_schedule(new: NewSchedule) -> Schedule:
    """Add a recurring job and return it. Raises a 409 problem if its name is taken, and 422 for wrong parameters."""
    made = _schedule(new)
    if not intake().write(noted("add_schedule", made.name, lambda connection: schedules.add(connection, made))):
        raise Problem(409, f"There is a schedule called {new.name!r} already.")
    return made


def change_schedule(name: str, change: ScheduleChange) -> Schedule:
    """Change a recurring job and return it. Raises a 404 or 422 problem.

    Another time counts from now on: the slot that was next before does not come.
    """
    given = change.model_dump(exclude_none=True)
    if not given:
        raise field_problem(422, "body", "give at least one thing to change")
    before = find_schedule(name)
    ways = {} if {"cron", "every"} & given.keys() else {"cron": before.cron, "every": before.every}
    old = {
        "name": name,
        **ways,
        "timezone": before.timezone,
        "task_type": before.type,
        "input_params": before.params,
        "paused": before.paused,
    }
    after = vars(_schedule(checked(NewSchedule, old | given)))
    # Nothing else is written: somebody may be changing another part of it just now.
    columns = ("cron", "every", "timezone", "type", "params", "paused")
    values = {column: after[column] for column in columns if after[column] != getattr(before, column)}
    if values.keys() & {"cron", "every", "timezone", "paused"}:
        values["next_run_at"] = after["next_run_at"]
    if not values:
        return before
    change_it = noted("change_schedule", name, lambda connection: schedules.change(connection, name, values))
    changed = intake().write(change_it)
    return _found(changed, _schedule_called(name))


def remove_schedule(name: str) -> None:
    """Delete a recurring job; the jobs that it has made stay. Raises a 404 problem."""
    if not intake().write(noted("remove_schedule", name, lambda connection: schedules.remove(connection, name))):
        raise _not_found(_schedule_called(name))


def _schedule_called(name: str) -> str:
    return f"schedule called {name[:64]!r}"


def _schedule(new: NewSchedule) -> Schedule:
    """Return a recurring job as the ledger takes it. Raises a 422 problem for wrong parameters."""
    checked(Submission, {"task_type": new.task_type, "input_params": new.input_params})
    now = time.time()
    made = Schedule(
        name=new.name,
        cron=new.cron,
        every=new.every,
        timezone=new.timezone,
        type=new.task_type,
        params=new.input_params,
        paused=new.paused,
        created_at=now,
        next_run_at=None,
        last_run_at=None,
        last_job_id=None,
    )
    return made if new.paused else replace(made, next_run_at=schedules.next_slot(made, now, anchor=now))


# --- to-dos -----------------------------------------------------------------------------------------------------------


def find_todo(todo_id: int) -> Todo:
    """Return a to-do. Raises a 404 problem."""
    with ledger().reading() as connection:
        todo = todos.find(connection, todo_id)
    return _found(todo, _todo_with(todo_id))


def list_todos(query: TodosQuery) -> tuple[list[Todo], str | None]:
    """Return a page of to-dos, oldest first, and the cursor of the next one. Raises a 422 problem for a wrong one."""
    after = position_of(query.cursor) if query.cursor is not None else None
    with ledger().reading() as connection:
        found = todos.page(connection, limit=query.limit + 1, after=after, done=query.done)
    shown = found[: query.limit]
    return shown, cursor_after(shown[-1].id) if len(found) > query.limit else None


def add_todo(new: NewTodo) -> Todo:
    """Add a to-do and return it."""
    return intake().write(noted("add_todo", "", lambda connection: todos.add(connection, new.text, new.done)))


def change_todo(todo_id: int, change: TodoChange) -> Todo:
    """Change text, tick, or both, and return the to-do. Raises a 404 problem, or a 422 problem for no change at all."""
    values = change.model_dump(exclude_none=True)
    if not values:
        raise field_problem(422, "body", "give text, done or both")
    change_it = noted("change_todo", str(todo_id), lambda connection: todos.change(connection, todo_id, values))
    changed = intake().write(change_it)
    return _found(changed, _todo_with(todo_id))


def remove_todo(todo_id: int) -> None:
    """Delete a to-do. Raises a 404 problem."""
    if not intake().write(noted("remove_todo", str(todo_id), lambda connection: todos.remove(connection, todo_id))):
        raise _not_found(_todo_with(todo_id))


def restore_todo(todo_id: int) -> None:
    """Bring a to-do back that was deleted within the last hour. Raises a 404 problem."""
    if not intake().write(noted("restore_todo", str(todo_id), lambda connection: todos.restore(connection, todo_id))):
        raise _not_found(f"{_todo_with(todo_id)} that was deleted within the last hour")


def _todo_with(todo_id: int) -> str:
    return f"to-do with the id {todo_id}"


# --- the audit --------------------------------------------------------------------------------------------------------


def list_audit(query: AuditQuery) -> tuple[list[AuditEntry], str | None]:
    """Return a page of the audit, newest first, and the cursor of the next. Raises a 422 problem for a wrong one."""
    before = position_of(query.cursor) if query.cursor is not None else None
    with ledger().reading() as connection:
        found = audit.page(connection, limit=query.limit + 1, before=before, who=query.who, subject=query.subject)
    shown = found[: query.limit]
    return [entry for _, entry in shown], cursor_after(shown[-1][0]) if len(found) > query.limit else None


# --- what is not there ------------------------------------------------------------------------------------------------


def _found(row: Row | None, what: str) -> Row:
    if row is None:
        raise _not_found(what)
    return row


def _not_found(what: str) -> Problem:
    return Problem(404, f"There is no {what}.")
