"""The OpenAPI document: valid, complete, and with examples that the API itself accepts."""

import json
import re
from typing import Any

import pytest
from apiflask import APIFlask
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from webapp.models.submissions import Submission

from jobs.catalogue import JOB_TYPES
from tests.support.project import ROOT

#: Routes for people and tools, which the document leaves out on purpose.
NOT_DESCRIBED = {
    "GET /flask/",
    "GET /flask/docs",
    "GET /flask/live",
    "GET /flask/openapi.json",
    "GET /flask/static/{filename}",
    "POST /flask/ui/submit/{name}",
    "POST /flask/ui/tasks/{task_id}/cancel",
    "POST /flask/ui/tasks/{task_id}/retry",
    "POST /flask/ui/failures/{key}/delete",
    "POST /flask/ui/failures/{key}/retry",
    "POST /flask/ui/queues/{name}/{action}",
    "POST /flask/ui/schedules/{name}",
    "POST /flask/ui/schedules/{name}/{action}",
    "POST /flask/ui/schedules/{name}/delete",
    "POST /flask/ui/todos",
    "POST /flask/ui/todos/{todo_id}",
    "POST /flask/ui/todos/{todo_id}/delete",
    "POST /flask/ui/todos/{todo_id}/restore",
    "POST /flask/ui/todos/export",
    "POST /flask/ui/jobs/{action}",
    "POST /flask/ui/jobs/{action}/confirmed",
    "POST /flask/ui/jobs/{task_id}/undo",
    "POST /flask/ui/preferences",
    "POST /flask/ui/workers/{name}/drain",
}

#: The routes that clients rely on.
PROMISED = {
    *(f"POST /flask/{name}" for name in JOB_TYPES),
    "GET /flask/heavy",
    "POST /flask/tasks",
    "POST /flask/tasks/batch",
    "GET /flask/tasks",
    "GET /flask/tasks/{task_id}",
    "DELETE /flask/tasks/{task_id}",
    "POST /flask/tasks/{task_id}/retry",
    "POST /flask/tasks/cancel",
    "POST /flask/tasks/retry",
    "GET /flask/failures",
    "GET /flask/kinds",
    "GET /flask/kinds/{name}",
    "DELETE /flask/failures/{key}",
    "GET /flask/schedules",
    "POST /flask/schedules",
    "GET /flask/schedules/{name}",
    "PATCH /flask/schedules/{name}",
    "DELETE /flask/schedules/{name}",
    "POST /flask/queues/{name}/pause",
    "POST /flask/queues/{name}/resume",
    "GET /flask/tasks/{task_id}/events",
    "GET /flask/events",
    "GET /flask/status",
    "GET /flask/result/{task_id}",
    "GET /flask/download/{task_id}",
    "GET /flask/todos",
    "POST /flask/todos",
    "GET /flask/todos/{todo_id}",
    "PATCH /flask/todos/{todo_id}",
    "DELETE /flask/todos/{todo_id}",
    "GET /flask/queues",
    "GET /flask/queues/{name}",
    "GET /flask/queues/history",
    "GET /flask/workers",
    "GET /flask/workers/{name}",
    "POST /flask/workers/{name}/drain",
    "GET /flask/autoscaler",
    "GET /flask/healthz",
    "GET /flask/healthz/background",
    "POST /flask/api/tasks/submit",
    "GET /flask/api/tasks/",
    "GET /flask/api/tasks/{task_id}",
    "DELETE /flask/api/tasks/{task_id}",
    "POST /flask/api/tasks/{task_id}/retry",
    "GET /flask/api/health",
}


@pytest.fixture(scope="module")
def document(app: APIFlask) -> Any:
    """The document as a client gets it."""
    return json.loads(app.test_client().get("/flask/openapi.json").data)


def operations(document: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_the_document_is_valid(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_each_schema_is_there_once(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if "." in name] == []
    titles = [schema["title"] for schema in schemas.values()]
    assert len(titles) == len(set(titles))


def test_every_promised_route_is_described(document: Any) -> None:
    assert PROMISED - operations(document).keys() == set()


def test_every_route_is_promised_or_left_out_on_purpose(app: APIFlask, document: Any) -> None:
    parameter = re.compile(r"<(?:[^:>]+:)?(\w+)>")
    routes = {
        f"{method} " + parameter.sub(r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/flask")
    }
    assert routes - NOT_DESCRIBED == PROMISED
    assert operations(document).keys() == PROMISED


def test_every_operation_says_what_it_is_for_and_how_it_fails(document: Any) -> None:
    for name, operation in operations(document).items():
        assert operation["summary"].strip(), name
        assert operation["tags"], name
        for code, response in operation["responses"].items():
            if int(code) >= 400 and "/health" not in name:
                assert list(response["content"]) == ["application/problem+json"], f"{name}: {code}"


def test_names_of_operations_are_unique(document: Any) -> None:
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(names) == len(set(names))


def test_every_body_has_examples_that_fit_its_schema(document: Any) -> None:
    for name, operation in operations(document).items():
        if "requestBody" not in operation:
            continue
        media = operation["requestBody"]["content"]["application/json"]
        examples = [media["example"]] if "example" in media else [each["value"] for each in media["examples"].values()]
        assert all(examples), name
        validator = OAS31Validator({**media["schema"], "components": document["components"]})
        for example in examples:
            assert [error.message for error in validator.iter_errors(example)] == [], name


def test_a_body_that_may_be_left_out_is_not_required(document: Any) -> None:
    required = {
        name: operation["requestBody"]["required"]
        for name, operation in operations(document).items()
        if "requestBody" in operation
    }
    assert not required["POST /flask/heavy"]
    assert not required["POST /flask/export"]
    assert required["POST /flask/add"]
    assert required["POST /flask/tasks"]


def test_there_is_an_example_for_each_kind_of_job_and_it_is_accepted(document: Any) -> None:
    examples = document["paths"]["/flask/tasks"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert examples.keys() == JOB_TYPES.keys()
    for name, example in examples.items():
        chosen: Any = Submission.model_validate(example["value"]).root
        assert chosen.task_type == name


def test_the_page_needs_nothing_from_elsewhere(app: APIFlask) -> None:
    page = app.test_client().get("/flask/docs").text
    sources = re.findall(r'<(?:img|link|script)[^>]* (?:src|href)="([^"]+)"', page)
    assert "/flask/static/swagger-ui/swagger-ui-bundle.js" in sources
    for source in sources:
        if source.startswith("/flask/"):
            with app.test_client().get(source) as answer:
                assert answer.status_code == 200, source
        else:
            assert (ROOT / "document_root" / source.removeprefix("/")).is_file(), source
