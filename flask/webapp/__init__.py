"""The web container: HTTP in, rows in the ledger, answers out. It never waits for RabbitMQ."""

from apiflask import APIFlask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import (
    compatibility,
    dashboard,
    documentation,
    download,
    events,
    health,
    home,
    jobs,
    live,
    problems,
    queues,
    requests,
    submission,
    todos,
)


def create_app() -> APIFlask:
    """Build the Flask application."""
    app = APIFlask(__name__, title="Warren", version="1.0.0", spec_path=None, docs_path=None)
    # Nginx says, in headers that no client can set past it, at which address it was asked.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1, x_host=1)  # type: ignore[method-assign]
    app.request_class = requests.JsonRequest
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    problems.register(app)
    documentation.configure(app)
    for module in (home, submission, jobs, download, events, todos, queues, health, compatibility, dashboard, live):
        app.register_blueprint(module.blueprint, url_prefix="/flask")
    return app
