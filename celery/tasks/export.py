"""The to-dos as a CSV file, in memory that does not grow with their number."""

import csv
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from jobs.catalogue import ExportParams
from jobs.errors import JobFailed
from jobs.exports import store
from jobs.ledger import todos
from jobs.ledger.database import ledger
from jobs.ledger.records import Todo
from jobs.task import JobTask, job

COLUMNS = ("id", "text", "done", "created_at")
#: What a spreadsheet takes for the beginning of a formula (https://owasp.org/www-community/attacks/CSV_Injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@job("export")
def export(task: JobTask, params: ExportParams) -> dict[str, Any]:
    """Write the to-dos that pass the filters to a file; return its name and their number."""
    job_id = task.request.id
    count = 0
    try:
        with store.write(job_id, task.request.attempt) as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for share, page in todos.export(ledger(), params.filters):
                writer.writerows(line(todo) for todo in page)
                count += len(page)
                task.report(100 * share, f"{count} to-dos")
    except OSError as error:  # a full disk may have room again in a moment
        raise task.retry(exc=JobFailed(f"The file could not be written: {error.strerror}.")) from error
    except SQLAlchemyError as error:  # and a ledger that does not answer may be back
        raise task.retry(exc=JobFailed("The ledger cannot be used: it may be stopped, or its disk full.")) from error
    return {"csv_path": store.name_of(job_id), "count": count}


def line(todo: Todo) -> tuple[int, str, str, str]:
    """Return the cells of a to-do; times are ISO 8601 in UTC."""
    created_at = datetime.fromtimestamp(todo.created_at, UTC).isoformat()
    return todo.id, harmless(todo.text), "true" if todo.done else "false", created_at


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe in front, where it would."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
