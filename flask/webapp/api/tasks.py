"""Jobs, which clients call tasks: look, list, cancel, run again."""

from apiflask import APIBlueprint
from flask import Response, jsonify

from jobs.catalogue import JOB_TYPES, CancelFilter, RetryFilter
from jobs.ledger.database import ledger
from webapp.api.openapi import error_responses
from webapp.api.submission import accepted_answer, submit
from webapp.models.jobs import JobDetail, JobPage, JobsQuery, JobView, ResultView, StatusQuery, StatusView
from webapp.models.submissions import Accepted
from webapp.operations import belongings_of, cancel_job, find_job, list_jobs, retry_job
from webapp.problems import field_problem
from webapp.views import attempt_view, job_view, report_view, timestamp

blueprint = APIBlueprint("tasks", __name__, tag="Jobs")


def page_answer(query: JobsQuery) -> Response:
    """Answer with a page of jobs."""
    page = list_jobs(query)
    return jsonify(
        data=[job_view(job) for job in page.jobs],
        next=page.older,
        previous=page.newer,
        looked_back_to=timestamp(page.back_to),
    )


@blueprint.get("/tasks")
@blueprint.input(JobsQuery, location="query")
@blueprint.output(JobPage)
@blueprint.doc(summary="List jobs, newest first", responses=error_responses(422, 503))
def listing(query_data: JobsQuery) -> Response:
    """List jobs, newest first."""
    return page_answer(query_data)


@blueprint.get("/tasks/<task_id>")
@blueprint.output(JobDetail)
@blueprint.doc(summary="Everything known about a job", responses=error_responses(404, 503))
def show(task_id: str) -> Response:
    """Return everything known about a job."""
    job = find_job(task_id)
    with ledger().reading() as connection:
        more = belongings_of(connection, job)
    return jsonify(
        **job_view(job),
        past_attempts=[attempt_view(attempt) for attempt in more.past],
        reports=[report_view(report) for report in more.reports],
        traceback=more.traceback,
        retry_of=job.retry_of,
        retried_as=more.retried_as,
        failure=job.failure,
    )


@blueprint.get("/status")
@blueprint.input(StatusQuery, location="query")
@blueprint.output(StatusView)
@blueprint.doc(summary="How a job stands", responses=error_responses(400, 404, 503))
def status(query_data: StatusQuery) -> Response:
    """Return id, status and result of a job."""
    if not query_data.task_id:
        raise field_problem(400, "task_id", "is missing: /flask/status?task_id=...")
    job = find_job(query_data.task_id)
    return jsonify(task_id=job.id, status=job.state, result=job.outcome)


@blueprint.get("/result/<task_id>")
@blueprint.output(ResultView)
@blueprint.doc(summary="What a job came to", responses=error_responses(404, 503))
def result(task_id: str) -> Response:
    """Return status and result of a job."""
    job = find_job(task_id)
    return jsonify(status=job.state, result=job.outcome)


@blueprint.post("/tasks/cancel")
@blueprint.input(CancelFilter)
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Cancel all jobs that match", responses=error_responses(400, 413, 422, 503))
def cancel_all(json_data: CancelFilter) -> Response:
    """Cancel all jobs that match: a job of its own does it, and tells how far it is."""
    return submit(JOB_TYPES["cancel_jobs"], json_data)


@blueprint.post("/tasks/retry")
@blueprint.input(RetryFilter)
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(
    summary="Run all failed or cancelled jobs that match again", responses=error_responses(400, 413, 422, 503)
)
def retry_all(json_data: RetryFilter) -> Response:
    """Submit all failed or cancelled jobs that match again, as new ones: a job of its own does it."""
    return submit(JOB_TYPES["retry_jobs"], json_data)


@blueprint.delete("/tasks/<task_id>")
@blueprint.output(JobView)
@blueprint.doc(summary="Cancel a job", responses=error_responses(404, 409, 503))
def cancel(task_id: str) -> Response:
    """Cancel a job: a waiting one never starts, a running one is stopped within about a second."""
    return jsonify(job_view(cancel_job(task_id)))


@blueprint.post("/tasks/<task_id>/retry")
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(summary="Run a failed or cancelled job again, as a new one", responses=error_responses(404, 409, 503))
def retry(task_id: str) -> Response:
    """Submit a failed or cancelled job again, as a new one."""
    return accepted_answer(retry_job(task_id))
