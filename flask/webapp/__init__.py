"""The web container: HTTP in, rows in the ledger, answers out. It never waits for RabbitMQ."""

from apiflask import APIFlask

from webapp import problems
from webapp.api import (
    compatibility,
    download,
    events,
    health,
    home,
    json_body,
    openapi,
    queues,
    submission,
    tasks,
    todos,
)
from webapp.pages import dashboard, live


def create_app() -> APIFlask:
    """Build the Flask application."""
    app = APIFlask(__name__, title="Warren", version="1.0.0", spec_path=None, docs_path=None)
    app.request_class = json_body.JsonRequest
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    problems.register(app)
    openapi.configure(app)
    for module in (home, submission, tasks, download, events, todos, queues, health, compatibility, dashboard, live):
        app.register_blueprint(module.blueprint, url_prefix="/flask")
    return app
