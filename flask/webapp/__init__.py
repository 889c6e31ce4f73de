"""The web container: HTTP in, rows in the ledger, answers out. It never waits for RabbitMQ."""

from apiflask import APIFlask

from webapp import health, home, problems, routes


def create_app() -> APIFlask:
    """Build the Flask application."""
    app = APIFlask(__name__, title="Warren", version="1.0.0", spec_path=None, docs_path=None)
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    problems.register(app)
    for blueprint in (home.blueprint, routes.blueprint, health.blueprint):
        app.register_blueprint(blueprint, url_prefix="/flask")
    return app
