"""The file of an export: found here, sent by Nginx, which knows ranges and needs no thread of ours for it."""

from apiflask import APIBlueprint
from flask import Response

from jobs import exports, states
from jobs.ledger import queries
from jobs.ledger.database import ledger
from webapp.problems import Problem

blueprint = APIBlueprint("download", __name__)

#: The location in nginx.conf that only answers of this application lead to.
LOCATION = "/.exports"


@blueprint.get("/download/<task_id>")
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
