"""Submitting jobs: ``POST /tasks`` for any kind, and a route of its own for each."""

import hashlib
from datetime import datetime
from typing import Any

from apiflask import APIBlueprint
from flask import Response, json, jsonify, request, url_for

from jobs.catalogue import JOB_TYPES, JobType, Params
from jobs.ledger.records import IdempotencyKey, ids_after, new_id
from webapp.api.openapi import error_responses
from webapp.intake import intake, new_job
from webapp.models.submissions import Accepted, AcceptedBatch, Batch, IdempotencyHeader, Submission
from webapp.negotiation import wants_html

blueprint = APIBlueprint("submission", __name__, tag="Submit")


def submit(
    job_type: JobType, params: Params, *, run_at: datetime | None = None, urgent: bool = False, key: str | None = None
) -> Response:
    """Have a job accepted, and answer 202; for a key that came before with the same request, answer as then.

    Raises :class:`jobs.ledger.records.KeyReused` for a key that came before with another request, and a 503 problem
    when no jobs are accepted.
    """
    return accepted_answer(intake().accept(new_job(job_type, params, run_at=run_at, urgent=urgent), key=_key(key)))


def _key(text: str | None) -> IdempotencyKey | None:
    return IdempotencyKey(text=text, fingerprint=_fingerprint()) if text else None


def _accepted(**body: Any) -> Response:
    answer = jsonify(body)
    answer.status_code = 202
    return answer


def accepted_answer(task_id: str) -> Response:
    """Return the answer 202 for a job that is on disk."""
    answer = _accepted(task_id=task_id)
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
@blueprint.doc(summary="Submit a job of any kind", responses=error_responses(400, 413, 422, 503))
def any_kind(json_data: Any, headers_data: IdempotencyHeader) -> Response:
    """Submit a job of any kind."""
    chosen = json_data.root
    return submit(
        JOB_TYPES[chosen.task_type],
        chosen.input_params,
        run_at=chosen.run_at,
        urgent=chosen.priority == "high",
        key=headers_data.idempotency_key,
    )


@blueprint.post("/tasks/batch")
@blueprint.input(IdempotencyHeader, location="headers")
@blueprint.input(Batch)
@blueprint.output(AcceptedBatch, status_code=202)
@blueprint.doc(summary="Submit up to 1,000 jobs at once", responses=error_responses(400, 413, 422, 503))
def batch(json_data: Batch, headers_data: IdempotencyHeader) -> Response:
    """Submit up to 1,000 jobs at once: all of them are accepted, or none."""
    count = len(json_data.jobs)
    jobs = [
        new_job(
            JOB_TYPES[job.task_type],
            job.input_params,
            run_at=job.run_at,
            urgent=job.priority == "high",
            task_id=task_id,
        )
        for job, task_id in zip(json_data.jobs, ids_after(new_id(), count), strict=True)
    ]
    first = intake().accept(*jobs, key=_key(headers_data.idempotency_key))
    return _accepted(task_ids=ids_after(first, count))


def _add_route(job_type: JobType) -> None:
    @blueprint.post(f"/{job_type.name}", endpoint=job_type.name)
    @blueprint.input(IdempotencyHeader, location="headers")
    @blueprint.input(job_type.params)
    @blueprint.output(Accepted, status_code=202)
    @blueprint.doc(summary=job_type.summary, responses=error_responses(400, 413, 422, 503))
    def one_kind(json_data: Params, headers_data: IdempotencyHeader) -> Response:
        return submit(job_type, json_data, key=headers_data.idempotency_key)


for _job_type in JOB_TYPES.values():
    _add_route(_job_type)


@blueprint.get("/heavy")
@blueprint.input(JOB_TYPES["heavy"].params, location="query")
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Submit a heavy job from a browser", responses=error_responses(422, 503))
def heavy_from_a_browser(query_data: Params) -> Response:
    """Submit a heavy job with GET, because people open it in a browser, which is led to the page of the job."""
    answer = submit(JOB_TYPES["heavy"], query_data)
    if wants_html():
        answer.status_code = 303
        answer.headers["Location"] += "?said=accepted"
    return answer
