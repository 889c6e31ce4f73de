"""The entrance for programs: what is here, and where to go next. A browser gets the dashboard."""

from apiflask import APIBlueprint
from flask import Response, jsonify

blueprint = APIBlueprint("home", __name__, enable_openapi=False)


@blueprint.get("/")
def index() -> Response:
    """Greet, with links to what a client may do."""
    return jsonify(
        message="Hello from flask.",
        submit="/flask/heavy",
        tasks="/flask/tasks",
        health="/flask/healthz",
        background="/flask/healthz/background",
    )
