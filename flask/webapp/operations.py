"""What programs and people do alike with jobs and to-dos: find, list, change. What cannot be done is a problem."""

from jobs.ledger import moves, queries, todos
from jobs.ledger.database import ledger
from jobs.ledger.records import Job, NewJob, Todo
from webapp.intake import intake
from webapp.models import JobsQuery, NewTodo, TodoChange, TodosQuery
from webapp.paging import cursor_after, position_of
from webapp.problems import Problem, field_problem

# --- jobs -------------------------------------------------------------------------------------------------------------


def find_job(task_id: str) -> Job:
    """Return a job. Raises a 404 problem for an id that the ledger does not know."""
    with ledger().reading() as connection:
        job = queries.find(connection, task_id)
    if job is None:
        raise Problem(404, f"There is no job with the id {task_id!r}.")
    return job


def list_jobs(query: JobsQuery, id_prefix: str | None = None) -> tuple[list[Job], str | None]:
    """Return a page of jobs, newest first, and the cursor of the next one. Raises a 422 problem for a wrong cursor."""
    with ledger().reading() as connection:
        found = queries.page(
            connection,
            limit=query.limit + 1,  # one more tells whether there is a next page
            before=position_of(query.cursor) if query.cursor is not None else None,
            in_states=query.status,
            of_type=query.task_type,
            id_prefix=id_prefix,
        )
    shown = found[: query.limit]
    return shown, cursor_after(shown[-1].seq) if len(found) > query.limit else None


def cancel_job(task_id: str) -> Job:
    """Cancel a job and return it. Raises a 404 or 409 problem."""
    was = intake().write(lambda connection: moves.cancel(connection, task_id))
    job = find_job(task_id)
    if was is None:
        raise Problem(409, f"The job has ended already: {job.state}.", state=job.state)
    return job


def retry_job(task_id: str) -> str:
    """Submit a failed or cancelled job again, and return the id of the new one. Raises a 404, 409 or 503 problem."""
    job = find_job(task_id)
    if not job.retryable:
        raise Problem(409, f"Only a FAILURE or REVOKED job can be retried; this one is {job.state}.", state=job.state)
    return intake().accept(NewJob(type=job.type, queue=job.queue, params=job.params))


# --- to-dos -----------------------------------------------------------------------------------------------------------


def find_todo(todo_id: int) -> Todo:
    """Return a to-do. Raises a 404 problem."""
    with ledger().reading() as connection:
        todo = todos.find(connection, todo_id)
    return _there(todo, todo_id)


def list_todos(query: TodosQuery) -> tuple[list[Todo], str | None]:
    """Return a page of to-dos, oldest first, and the cursor of the next one. Raises a 422 problem for a wrong one."""
    after = position_of(query.cursor) if query.cursor is not None else None
    with ledger().reading() as connection:
        found = todos.page(connection, limit=query.limit + 1, after=after, done=query.done)
    shown = found[: query.limit]
    return shown, cursor_after(shown[-1].id) if len(found) > query.limit else None


def add_todo(new: NewTodo) -> Todo:
    """Add a to-do and return it."""
    return intake().write(lambda connection: todos.add(connection, new.text, new.done))


def change_todo(todo_id: int, change: TodoChange) -> Todo:
    """Change text, tick, or both, and return the to-do. Raises a 404 problem, or a 422 problem for no change at all."""
    values = change.model_dump(exclude_none=True)
    if not values:
        raise field_problem(422, "body", "give text, done or both")
    return _there(intake().write(lambda connection: todos.change(connection, todo_id, values)), todo_id)


def remove_todo(todo_id: int) -> None:
    """Delete a to-do. Raises a 404 problem."""
    if not intake().write(lambda connection: todos.remove(connection, todo_id)):
        _there(None, todo_id)


def _there(todo: Todo | None, todo_id: int) -> Todo:
    if todo is None:
        raise Problem(404, f"There is no to-do with the id {todo_id}.")
    return todo
