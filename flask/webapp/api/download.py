"""The file of an export, found here. If it is in the folder, Nginx sends it; if it is in the ledger, a thread of ours.

A client that reads slowly keeps that thread, but no connection to the database. So that threads are left for all other
requests, only some of them may send files.
"""

import os
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Self

from apiflask import APIBlueprint, FileSchema
from flask import Response, request

from jobs.exports import database, store
from jobs.ledger.database import ledger
from jobs.ledger.files import File
from jobs.states import State
from webapp.api.openapi import error_responses
from webapp.operations import find_job
from webapp.problems import Problem, unavailable

blueprint = APIBlueprint("download", __name__, tag="Jobs")

#: The location in nginx.conf that only answers of this application lead to.
LOCATION = "/.exports"

#: One for each thread of this process that may send a file: a quarter of all.
_PLACES = BoundedSemaphore(max(1, int(os.environ.get("WEB_THREADS", "32")) // 4))

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
    answer = Response(content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="todos-{job.id}.csv"'
    if isinstance(file, File):
        _send(answer, file)
    else:
        answer.headers["X-Accel-Redirect"] = f"{LOCATION}/{file.name}"
    return answer


def _send(answer: Response, file: File) -> None:
    """Put a file that is in the ledger into an answer, or the part of it that was asked for.

    Raises a 503 problem when as many are being sent as may be, and the 416 of Werkzeug.
    """
    answer.response = _Body(file)
    answer.content_length = file.size
    answer.last_modified = datetime.fromtimestamp(file.written_at, UTC)
    answer.set_etag(f"{file.written_at:.6f}-{file.size}")
    answer.make_conditional(request)
    # Whether the client has the file already goes before which part it wants. Several parts: then it gets all.
    several = request.range is not None and len(request.range.ranges) > 1
    if answer.status_code == 200:
        answer.make_conditional(request, accept_ranges=True, complete_length=None if several else file.size)
    if request.method == "GET" and answer.status_code in (200, 206):
        if not _PLACES.acquire(blocking=False):
            raise unavailable("As many files are being sent as this server sends at a time.", retry_after=5)
        answer.call_on_close(_PLACES.release)


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
