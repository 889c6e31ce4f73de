"""The file of an export: found here, sent by Nginx, which knows ranges and needs no thread of ours for it."""

from apiflask import APIBlueprint, FileSchema
from flask import Response

from jobs import exports
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
    file = exports.path_of(job.id)
    if not file.is_file():
        raise Problem(410, "The file of this export has expired. Export the to-dos again.")
    answer = Response(content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="todos-{job.id}.csv"'
    answer.headers["X-Accel-Redirect"] = f"{LOCATION}/{file.name}"
    return answer
