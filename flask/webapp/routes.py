"""The routes of jobs: submit, look, list, cancel, retry."""

import uuid
from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from flask import Response, jsonify, request, url_for
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from werkzeug.exceptions import BadRequest

from jobs import states
from jobs.catalogue import JOB_TYPES, JobType
from jobs.ledger import moves, queries
from jobs.ledger.database import ledger
from jobs.ledger.records import NewJob
from webapp.intake import COMMIT_TIMEOUT, intake
from webapp.problems import Problem, unavailable
from webapp.views import cursor, from_cursor, job_view, outcome

blueprint = APIBlueprint("jobs", __name__)

#: Rows of a page, unless the client asks for fewer or more.
PAGE = 50
LARGEST_PAGE = 500


def _split(text: Any) -> Any:
    return text.split(",") if isinstance(text, str) else text


class PageQuery(BaseModel):
    """Query of a list."""

    model_config = ConfigDict(extra="forbid")

    status: (
        Annotated[
            list[Literal["PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]],
            BeforeValidator(_split),
        ]
        | None
    ) = None
    task_type: Literal[tuple(JOB_TYPES)] | None = None  # type: ignore[valid-type]
    limit: int = Field(PAGE, ge=1, le=LARGEST_PAGE)
    cursor: str | None = Field(None, max_length=64)


class StatusQuery(BaseModel):
    """Query of ``/status``."""

    task_id: str | None = None


def _submit(job_type: JobType, parameters: Any) -> Response:
    checked = job_type.params.model_validate(parameters)
    new = NewJob(type=job_type.name, queue=job_type.queue, params=checked.model_dump(mode="json"))
    return _accept(new)


def _accept(new: NewJob) -> Response:
    intake().accept(new)
    answer = jsonify(task_id=new.id)
    answer.status_code = 202
    answer.headers["Location"] = url_for("jobs.show", task_id=new.id)
    return answer


def _body() -> Any:
    """Return the JSON body; no body at all is an empty object."""
    if not request.get_data(cache=True).strip():
        return {}
    try:
        body = request.get_json(force=True)
    except BadRequest:
        raise Problem(400, "body: not valid JSON.", errors=[{"field": "body", "message": "not valid JSON"}]) from None
    if not isinstance(body, dict):
        raise Problem(
            422, "body: a JSON object is needed.", errors=[{"field": "body", "message": "a JSON object is needed"}]
        )
    return body


def _found(task_id: str) -> Any:
    """Return the row of a job. Raises a 404 problem for an id that the ledger does not know."""
    with ledger().reading() as connection:
        row = queries.find(connection, task_id)
    if row is None:
        raise Problem(404, f"There is no job with the id {task_id!r}.")
    return row


@blueprint.get("/heavy")
def heavy_from_a_browser() -> Response:
    """Submit a heavy job; GET too, because people open it in a browser."""
    return _submit(JOB_TYPES["heavy"], request.args.to_dict())


@blueprint.post("/heavy")
def heavy() -> Response:
    """Submit a heavy job."""
    return _submit(JOB_TYPES["heavy"], _body())


@blueprint.get("/tasks")
def listing() -> Response:
    """Return a page of jobs, newest first."""
    query = PageQuery.model_validate(request.args.to_dict())
    with ledger().reading() as connection:
        rows = queries.page(
            connection,
            limit=query.limit + 1,  # one more tells whether there is a next page
            before=from_cursor(query.cursor) if query.cursor else None,
            in_states=query.status,
            of_type=query.task_type,
        )
    shown = rows[: query.limit]
    return jsonify(
        data=[job_view(row) for row in shown],
        next=cursor(shown[-1]) if len(rows) > query.limit else None,
    )


@blueprint.get("/tasks/<task_id>")
def show(task_id: str) -> Response:
    """Return everything known about a job."""
    return jsonify(job_view(_found(task_id)))


@blueprint.get("/status")
def status() -> Response:
    """Return id, status and result of a job."""
    query = StatusQuery.model_validate(request.args.to_dict())
    if not query.task_id:
        raise Problem(400, "task_id is missing: /flask/status?task_id=...", errors=[{"field": "task_id"}])
    row = _found(query.task_id)
    return jsonify(task_id=row.id, status=row.state, result=outcome(row))


@blueprint.get("/result/<task_id>")
def result(task_id: str) -> Response:
    """Return status and result of a job."""
    row = _found(task_id)
    return jsonify(status=row.state, result=outcome(row))


@blueprint.delete("/tasks/<task_id>")
def cancel(task_id: str) -> Response:
    """Cancel a job: a waiting one never starts, a running one is stopped within about a second."""
    try:
        was = intake().commits.run(lambda connection: moves.cancel(connection, task_id), COMMIT_TIMEOUT)
    except TimeoutError:
        raise unavailable("The ledger did not answer in time.") from None
    row = _found(task_id)
    if was is None:
        raise Problem(409, f"The job has ended already: {row.state}.", state=row.state)
    return jsonify(job_view(row))


@blueprint.post("/tasks/<task_id>/retry")
def retry(task_id: str) -> Response:
    """Submit a failed or cancelled job again, as a new one."""
    row = _found(task_id)
    if row.state not in (states.FAILURE, states.REVOKED):
        raise Problem(409, f"Only a FAILURE or REVOKED job can be retried; this one is {row.state}.", state=row.state)
    return _accept(NewJob(id=str(uuid.uuid4()), type=row.type, queue=row.queue, params=row.params))
