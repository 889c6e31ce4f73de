"""Errors as RFC 9457 problem documents, ``application/problem+json``; a browser gets a page that says the same."""

import re
from http import HTTPStatus
from typing import Any, TypeVar

from apiflask import APIFlask, HTTPError
from flask import Response, json
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from jobs.catalogue import JOB_TYPES
from jobs.ledger.database import LedgerFileChanged
from jobs.ledger.records import KeyReused
from webapp.negotiation import wants_html
from webapp.rendering import render

M = TypeVar("M", bound=BaseModel)


class Problem(Exception):
    """Raised anywhere in a request to answer it with a problem document, or the page of one."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more

    def response(self) -> Response:
        """Return the answer to send."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        if wants_html():
            page = render("error.html", title=document["title"], status=self.status, detail=self.detail, notice="")
            answer = Response(page, self.status, mimetype="text/html")
        else:
            answer = Response(json.dumps(document), self.status, mimetype="application/problem+json")
        answer.headers.extend(self.headers)
        return answer


def field_problem(status: int, field: str, message: str) -> Problem:
    """Return the problem of one wrong field."""
    return Problem(status, f"{field}: {message}.", errors=[{"field": field, "message": message}])


def fields_problem(status: int, errors: list[dict[str, str]]) -> Problem:
    """Return the problem of wrong fields, each with its ``field`` and ``message``."""
    return Problem(status, "; ".join(f"{item['field']}: {item['message']}" for item in errors), errors=errors)


def checked(model: type[M], values: Any) -> M:
    """Return what a client sent as the model has it. Raises a 422 problem that names each wrong field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [
            {"field": _field_name(".".join(str(step) for step in item["loc"])), "message": item["msg"]}
            for item in error.errors()
        ]
        raise fields_problem(422, found) from None


def unavailable(detail: str, retry_after: int = 2) -> Problem:
    """Return the problem of a service that will be back: 503 with ``Retry-After`` in seconds."""
    return Problem(503, detail, headers={"Retry-After": str(retry_after)})


#: What Pydantic says of a submission whose ``task_type`` is missing or unknown, and what to say instead.
_NO_SUCH_TAG = ("Input tag ", "Unable to extract tag ")
_KIND_IN_PATH = re.compile(rf"^(jobs\.\d+\.)?(?:{'|'.join(JOB_TYPES)})\.")
_UNKNOWN_KIND = f"Input should be one of {', '.join(JOB_TYPES)}"


def _from_validation(error: HTTPError) -> Response:
    """Answer what APIFlask found wrong: ``detail`` has the fields, by location."""
    errors = [
        {"field": _header_name(field), "message": message}
        if location == "headers"
        else {"field": f"{_field_name(field)}.task_type".removeprefix("body."), "message": _UNKNOWN_KIND}
        if message.startswith(_NO_SUCH_TAG)
        else {"field": _field_name(field), "message": message}
        for location, fields in error.detail.items()
        for field, messages in fields.items()
        for message in messages
    ]
    return fields_problem(422, errors).response()


def _field_name(path: str) -> str:
    """Return the path of a field as the client knows it; for the whole body, which APIFlask calls `_schema`, ``body``.

    Pydantic tells the kinds of a submission apart by ``task_type``, and puts that in front of the fields inside: in a
    batch after the number of the job.
    """
    if path in ("", "_schema"):
        return "body"
    return _KIND_IN_PATH.sub(r"\1", path)


def _header_name(field: str) -> str:
    return field.replace("_", "-").title()


def register(app: APIFlask) -> None:
    """Make every error of the application a problem document."""
    app.error_processor(_from_validation)

    @app.errorhandler(HTTPException)
    def _from_werkzeug(error: HTTPException) -> Response:
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return Problem(error.code or 500, error.description or error.name, headers=headers).response()

    @app.errorhandler(Problem)
    def _problem(problem: Problem) -> Response:
        return problem.response()

    @app.errorhandler(KeyReused)
    def _key(_error: KeyReused) -> Response:
        return field_problem(422, "Idempotency-Key", "was used for another request").response()

    @app.errorhandler(LedgerFileChanged)
    def _file(error: LedgerFileChanged) -> Response:
        app.logger.warning("%s", error)
        return unavailable(str(error)).response()

    @app.errorhandler(SQLAlchemyError)
    def _ledger(error: SQLAlchemyError) -> Response:
        app.logger.warning("the ledger cannot be used: %s", error)
        return unavailable("The ledger cannot be used at the moment: its disk may be full or locked.").response()

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        app.logger.exception("unexpected: %s", error)
        return Problem(500, "An unexpected error; the log of the web container has the details.").response()
