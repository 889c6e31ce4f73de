"""How a request's JSON body is read: none at all is an empty object, and what is wrong is told plainly."""

from typing import Any

from flask import Request

from webapp.problems import field_problem


class JsonRequest(Request):
    """A Flask request whose ``get_json`` returns an object, or raises a 400 or 422 problem."""

    def get_json(self, *_arguments: Any, **_options: Any) -> Any:
        """Return the body, whatever its content type says."""
        if not self.get_data(cache=True).strip():
            return {}
        try:
            body = super().get_json(force=True)
        except RecursionError:
            raise field_problem(400, "body", "nested too deeply") from None
        if not isinstance(body, dict):
            raise field_problem(422, "body", "a JSON object is needed")
        return body

    def on_json_loading_failed(self, _error: ValueError | None) -> Any:
        """Raise a 400 problem: the body is not JSON."""
        raise field_problem(400, "body", "not valid JSON")
