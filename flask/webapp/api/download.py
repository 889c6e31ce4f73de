"""The file of an export: found here, sent by Nginx, which knows ranges and needs no thread of ours for it."""

from apiflask import APIBlueprint, FileSchema
from flask import Response

from jobs import exports, states
from jobs.ledger import queries
from jobs.ledger.database import ledger
from webapp.api.openapi import problems
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
        **problems(404, 409, 410, 416, 503),
    },
)
def download(task_id: str) -> Response:
    """Return the CSV file of an export that has succeeded."""
    with ledger().reading() as connection:
        row = queries.find(connection, task_id)
    if row is None or row.type != "export":
        raise Problem(404, f"There is no export with the id {task_id!r}.")
    if row.state != states.SUCCESS:
        raise Problem(409, f"This export has not succeeded: it is {row.state}.", state=row.state)
    file = exports.path_of(row.id)
    if not file.is_file():
        raise Problem(410, "The file of this export has expired. Export the to-dos again.")
    answer = Response(content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="todos-{row.id}.csv"'
    answer.headers["X-Accel-Redirect"] = f"{LOCATION}/{file.name}"
    return answer
