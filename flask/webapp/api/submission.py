"""Submitting jobs: ``POST /tasks`` for any kind, and a route of its own for each."""

import hashlib
from datetime import datetime
from typing import Any

from apiflask import APIBlueprint
from flask import Response, json, jsonify, request, url_for

from jobs.catalogue import JOB_TYPES, JobType, Params
from jobs.ledger.records import NewJob
from webapp.api.openapi import problems
from webapp.intake import intake
from webapp.models import Accepted, IdempotencyHeader, Submission
from webapp.problems import field_problem

blueprint = APIBlueprint("submission", __name__, tag="Submit")


def new_job(job_type: JobType, params: Params, run_at: datetime | None = None) -> NewJob:
    """Return a job as the ledger takes it."""
    return NewJob(
        type=job_type.name,
        queue=job_type.queue,
        params=params.model_dump(mode="json", exclude_none=True),
        run_at=run_at.timestamp() if run_at else None,
    )


def accept(job_type: JobType, params: Params, *, run_at: datetime | None = None, key: str | None = None) -> Response:
    """Store a job and answer 202; with a ``key`` that was used for the same body before, answer as then.

    Raises a 422 problem for a key that was used for another body, and a 503 problem when the ledger takes no jobs.
    """
    return accepted(intake().accept(new_job(job_type, params, run_at), key, _fingerprint() if key else None))


def accepted(task_id: str | None) -> Response:
    """Return the answer 202 for a job that is on disk."""
    if task_id is None:
        raise field_problem(422, "Idempotency-Key", "was used for another request")
    answer = jsonify(task_id=task_id)
    answer.status_code = 202
    answer.headers["Location"] = url_for("tasks.show", task_id=task_id)
    return answer


def _fingerprint() -> str:
    """Return what tells this request from another: its path and what its body says, not how it is spaced."""
    content = json.dumps([request.path, request.get_json()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


@blueprint.post("/tasks")
@blueprint.input(IdempotencyHeader, location="headers")
@blueprint.input(Submission)
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Submit a job of any kind", responses=problems(400, 413, 422, 503))
def submit(json_data: Any, headers_data: IdempotencyHeader) -> Response:
    """Submit a job of any kind."""
    chosen = json_data.root
    return accept(
        JOB_TYPES[chosen.task_type], chosen.input_params, run_at=chosen.run_at, key=headers_data.idempotency_key
    )


def _add_route(job_type: JobType) -> None:
    @blueprint.post(f"/{job_type.name}", endpoint=job_type.name)
    @blueprint.input(IdempotencyHeader, location="headers")
    @blueprint.input(job_type.params)
    @blueprint.output(Accepted, status_code=202)
    @blueprint.doc(summary=job_type.summary, responses=problems(400, 413, 422, 503))
    def submit_one(json_data: Params, headers_data: IdempotencyHeader) -> Response:
        return accept(job_type, json_data, key=headers_data.idempotency_key)


for _job_type in JOB_TYPES.values():
    _add_route(_job_type)


@blueprint.get("/heavy")
@blueprint.input(JOB_TYPES["heavy"].params, location="query")
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Submit a heavy job from a browser", responses=problems(422, 503))
def heavy_from_a_browser(query_data: Params) -> Response:
    """Submit a heavy job with GET, because people open it in a browser."""
    return accept(JOB_TYPES["heavy"], query_data)
