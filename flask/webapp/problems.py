"""Errors as RFC 9457 problem documents: ``application/problem+json``."""

from http import HTTPStatus
from typing import Any

from apiflask import APIFlask
from flask import Response, json
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException


class Problem(Exception):
    """Raised anywhere in a request to answer it with a problem document."""

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
        answer = Response(json.dumps(document), self.status, mimetype="application/problem+json")
        answer.headers.extend(self.headers)
        return answer


def unavailable(detail: str, retry_after: int = 2) -> Problem:
    """Return the problem of a service that will be back: 503 with ``Retry-After`` in seconds."""
    return Problem(503, detail, headers={"Retry-After": str(retry_after)})


def invalid(error: ValidationError) -> Problem:
    """Return the problem of input that its model refused; ``errors`` names each field and what would be right."""
    errors = [
        {"field": ".".join(str(part) for part in item["loc"]) or "body", "message": item["msg"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
    return Problem(422, detail, errors=errors)


def register(app: APIFlask) -> None:
    """Make every error of the application a problem document."""

    @app.errorhandler(Problem)
    def _problem(problem: Problem) -> Response:
        return problem.response()

    @app.errorhandler(ValidationError)
    def _invalid(error: ValidationError) -> Response:
        return invalid(error).response()

    @app.errorhandler(SQLAlchemyError)
    def _ledger(error: SQLAlchemyError) -> Response:
        app.logger.warning("the ledger cannot be used: %s", error)
        return unavailable("The ledger cannot be used at the moment: its disk may be full or locked.").response()

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
        return Problem(error.code or 500, error.description or "", headers=headers).response()

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        app.logger.exception("unexpected: %s", error)
        return Problem(500, "An unexpected error; the log of the web container has the details.").response()
