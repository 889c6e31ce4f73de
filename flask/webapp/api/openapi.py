"""The OpenAPI document at ``/flask/openapi.json``, which the page at ``/flask/docs`` shows."""

from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify

from jobs.settings import settings
from webapp.models.service import ProblemView

blueprint = APIBlueprint(
    "documentation", __name__, enable_openapi=False, static_folder="../static", static_url_path="/static"
)

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

_SCHEMAS = "#/components/schemas/"

#: Open to everybody, also where people log in.
_OPEN_PATHS = {"/flask/healthz"}

_DESCRIPTION = """\
Background jobs: submit one, look at it, cancel it, run it again.

`202` means that the job is on disk and will reach an end. Errors are problem documents (RFC 9457) that name the field
and what would be right. `503` comes with `Retry-After`: the backlog is full, or the ledger cannot be written now.
"""


#: The groups of operations, in the order of the page.
_ORDER = ["Submit", "Jobs", "Schedules", "To-dos", "Service", "Compatibility"]


def configure(app: APIFlask) -> None:
    """Set up the generation of the document."""
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        DESCRIPTION=_DESCRIPTION,
        AUTO_404_RESPONSE=False,  # each operation names its own errors, see `error_responses`
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
        AUTO_OPERATION_ID=True,
    )
    app.register_blueprint(blueprint, url_prefix="/flask")
    app.spec_processor(_finish)


def error_responses(*codes: int) -> dict[int | str, Any]:
    """Return the description of error answers, for ``doc(responses=...)``."""
    return {code: {"description": _REASONS[code], "content": _PROBLEM} for code in codes}


_REASONS = {
    400: "The request cannot be understood.",
    401: "It does not say who is asking.",
    403: "Who is asking may not do this.",
    404: "There is no such thing.",
    409: "Its state does not allow that.",
    410: "It was there, and is gone.",
    413: "The body is larger than 1 MB.",
    414: "The address is longer than 8 kB.",
    416: "The file has no such part.",
    422: "A field is wrong; `errors` says which, and what would be right.",
    429: "This client asks for too much; `Retry-After` says when to try again, in seconds.",
    503: "Not at the moment; `Retry-After` says when to try again, in seconds.",
}


def _finish(document: Any) -> Any:
    """Say what APIFlask does not: the problem document, lists in a query, what cannot be null, an optional body."""
    document = _with_each_schema_once(document)
    if settings().auth:
        _say_who_may(document)
    schema = ProblemView.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
    names = {tag["name"] for tag in document["tags"]}  # APIFlask repeats a tag for each blueprint that has it
    document["tags"] = [{"name": name} for name in sorted(names, key=_ORDER.index)]
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                _finish_parameter(parameter)
                if parameter["in"] == "query":
                    operation["responses"].setdefault("414", error_responses(414)[414])
            operation["responses"].setdefault("429", error_responses(429)[429])
            if "requestBody" in operation:
                _finish_body(document, operation["requestBody"])
    return document


def _say_who_may(document: dict[str, Any]) -> None:
    """Say of each operation that it needs a token, unless it is open to everybody."""
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path not in _OPEN_PATHS:
                operation["security"] = [{"token": []}]
                operation["responses"] |= {str(code): error_responses(code)[code] for code in (401, 403)}


def _with_each_schema_once(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with one schema of each name: APIFlask writes `Job.State` and `Page.State` for the same.

    Raises :class:`ValueError` if two schemas of one name differ.
    """

    def renamed(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: renamed(value) for key, value in part.items()}
        if isinstance(part, list):
            return [renamed(value) for value in part]
        if isinstance(part, str) and part.startswith(_SCHEMAS):
            return _SCHEMAS + part.removeprefix(_SCHEMAS).rpartition(".")[2]
        return part

    found: dict[str, Any] = renamed(document)
    schemas: dict[str, Any] = {}
    for name, schema in found["components"]["schemas"].items():
        short = name.rpartition(".")[2]
        if schemas.setdefault(short, schema) != schema:
            raise ValueError(f"two schemas are called {short}")
    found["components"]["schemas"] = schemas
    return found


def _finish_parameter(parameter: dict[str, Any]) -> None:
    schema = parameter["schema"]
    for choice in schema.pop("anyOf", []):
        if choice != {"type": "null"}:  # a parameter is given or left out; it is never null
            schema |= choice
    if schema.get("default", ...) is None:
        del schema["default"]
    if schema.get("type") == "array":
        parameter |= {"style": "form", "explode": False}


def _finish_body(document: dict[str, Any], body: dict[str, Any]) -> None:
    media = body["content"]["application/json"]
    schema = _resolved(document, media["schema"])
    body["required"] = "required" in schema or "oneOf" in schema
    if "oneOf" in schema:
        choices = [_example(document, choice) for choice in schema["oneOf"]]
        media["examples"] = {choice["task_type"]: {"value": choice} for choice in choices}
    else:
        media["example"] = _example(document, schema)


def _example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return an example of a schema, made of those of its fields; ``...`` where there is none."""
    schema = _resolved(document, schema)
    if "const" in schema:
        return schema["const"]
    if "oneOf" in schema:
        return _example(document, schema["oneOf"][0])
    if "items" in schema and "examples" not in schema:
        return [_example(document, schema["items"])]
    if "properties" not in schema:
        return next((value for part in (schema, *schema.get("anyOf", [])) for value in part.get("examples", [])), ...)
    fields = {name: _example(document, field) for name, field in schema["properties"].items()}
    return {name: value for name, value in fields.items() if value is not ...}


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Return the document."""
    return jsonify(current_app.spec)  # type: ignore[attr-defined]
