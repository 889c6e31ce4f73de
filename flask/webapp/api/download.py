"""The file of an export, found here. What is in a folder, Nginx sends. What is in the ledger, Nginx asks us for.

It does so slice by slice, and the next one when the client has the last one (nginx.conf). So in neither case does a
client that reads slowly keep a thread of ours.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from apiflask import APIBlueprint, FileSchema
from flask import Response, request

from jobs.exports import database, store
from jobs.ledger.database import ledger
from jobs.ledger.files import File
from jobs.states import State
from webapp.api.openapi import error_responses
from webapp.operations import find_job
from webapp.problems import Problem

blueprint = APIBlueprint("download", __name__, tag="Jobs")

#: The location in nginx.conf that only answers of this application lead to.
LOCATION = "/.exports"

_CSV = {"text/csv": {"schema": {"type": "string"}}}


@blueprint.get("/download/<task_id>")
@blueprint.output(FileSchema(type="string"), content_type="text/csv", description="The file.")
@blueprint.doc(
    summary="The CSV file of an export",
    responses={
        206: {"description": "The part of the file that `Range` asked for.", "content": _CSV},
        304: {"description": "The client has this file already.", "content": {}},
        **error_responses(404, 409, 410, 416, 503),
    },
)
def download(task_id: str) -> Response:
    """Return the CSV file of an export that has succeeded."""
    job = find_job(task_id)
    if job.type != "export":
        raise Problem(404, f"The job {task_id!r} is no export: it has no file.")
    if job.state is not State.SUCCESS:
        raise Problem(409, f"This export has not succeeded: it is {job.state}.", state=job.state)
    file = store.find(job.id)
    if file is None:
        raise Problem(410, "The file of this export has expired. Export the to-dos again.")
    answer = _by_nginx(file) if isinstance(file, Path) else _from_ledger(file)
    answer.content_type = "text/csv; charset=utf-8"
    answer.headers["Content-Disposition"] = f'attachment; filename="todos-{job.id}.csv"'
    return answer


def _by_nginx(file: Path) -> Response:
    """Answer with a file that is in the folder: Nginx knows which part of it was asked for."""
    answer = Response()
    answer.headers["X-Accel-Redirect"] = f"{LOCATION}/{file.name}"
    return answer


def _from_ledger(file: File) -> Response:
    """Answer with a file that is in the ledger, or with the part of it that was asked for."""
    answer = Response(_Body(file))
    answer.content_length = file.size
    answer.last_modified = datetime.fromtimestamp(file.written_at, UTC)
    answer.set_etag(f"{file.written_at:.6f}-{file.size}")
    answer.make_conditional(request, accept_ranges=True, complete_length=file.size)
    return answer


class _Body:
    """The bytes of a file in the ledger, as Werkzeug reads them: first it says from where."""

    def __init__(self, file: File) -> None:
        self._file = file
        self.seek(0)

    def seekable(self) -> bool:
        return True

    def seek(self, position: int) -> None:
        self._position = position
        self._parts = database.read(ledger(), self._file, position)

    def tell(self) -> int:
        return self._position

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)
