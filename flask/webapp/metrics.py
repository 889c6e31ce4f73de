"""What the web counts of its requests, for Prometheus; ``gunicorn.conf.py`` says where. `api/scrape.py` tells it."""

import time
from collections import Counter as Tally
from collections.abc import Iterable
from functools import cache

from apiflask import APIFlask
from flask import Request, Response, g, request
from prometheus_client import Counter, Histogram
from werkzeug.exceptions import HTTPException

from jobs.catalogue import JOB_TYPES
from jobs.ledger.records import NewJob
from webapp.problems import Problem

_SUBMISSIONS = Counter(
    "warren_submissions",
    "Jobs that were accepted (202), and requests to submit some that were refused, by the status of the answer.",
    ["task_type", "status"],
)
_REQUEST_DURATION = Histogram(
    "warren_http_request_duration_seconds",
    "How long it took until the answer to a request was ready to be sent.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

# What finds the counter of these labels: cached, it takes a tenth of the time.
_submissions_of = cache(_SUBMISSIONS.labels)
_duration_of = cache(_REQUEST_DURATION.labels)

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
#: Routes that take new jobs, besides those of `api/submission.py`.
_SUBMITTING = {"compatibility.any_kind", "actions.submit"}


def accepted(jobs: Iterable[NewJob]) -> None:
    """Count jobs that are on disk now."""
    for task_type, count in Tally([job.type for job in jobs]).items():
        _submissions_of(task_type, "202").inc(count)


def register(app: APIFlask) -> None:
    """Have the requests of an application counted."""

    @app.before_request
    def _begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def _end(response: Response) -> Response:
        asked = request._get_current_object()  # type: ignore[attr-defined]  # looked up once, and not for each part
        # A label has a word for all that clients make up: each value is kept, and told, for ever.
        method = asked.method if asked.method in _METHODS else "other"
        route = asked.url_rule.rule if asked.url_rule else "unmatched"
        _duration_of(method, route).observe(time.perf_counter() - g.began)
        if response.status_code >= 400 and (asked.blueprint == "submission" or asked.endpoint in _SUBMITTING):
            _submissions_of(_task_type(asked), str(response.status_code)).inc()
        return response


def _task_type(asked: Request) -> str:
    """Return the kind of job that a refused request is about, or ``unknown``: a batch, for instance, has many kinds."""
    name = asked.path.rpartition("/")[2]
    if name not in JOB_TYPES:
        try:
            name = str(asked.get_json().get("task_type"))
        except (Problem, HTTPException):  # that the body cannot be read is why it was refused
            return "unknown"
    return name if name in JOB_TYPES else "unknown"
