"""The web container: HTTP in, rows in the ledger, answers out. It never waits for RabbitMQ."""

from apiflask import APIFlask
from werkzeug.middleware.proxy_fix import ProxyFix

from jobs import __version__
from jobs.ledger.database import ledger
from jobs.settings import settings
from webapp import cross_site, gate, metrics, problems
from webapp.again import Application
from webapp.api import (
    audit,
    autoscaler,
    compatibility,
    download,
    events,
    failures,
    health,
    home,
    json_body,
    kinds,
    openapi,
    queues,
    schedules,
    scrape,
    submission,
    tasks,
    todos,
    workers,
)
from webapp.auth import sessions
from webapp.pages import actions, admin, bulk, documents, live, login, pages
from webapp.quota import say_what_is_left


def create_app() -> APIFlask:
    """Build the Flask application."""
    ledger()  # before Gunicorn forks: all its processes are to write to the file that is there now
    app = Application(__name__, title="Warren", version=__version__, spec_path=None, docs_path=None)
    # Nginx says, in headers that no client can set past it, at which address it was asked.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1, x_host=1)  # type: ignore[method-assign]
    app.request_class = json_body.JsonRequest
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    metrics.register(app)
    problems.register(app)
    cross_site.register(app)
    openapi.configure(app)
    if settings().auth:
        sessions.configure(app)
        app.before_request(gate.check)
        if settings().token_submissions:
            app.after_request(say_what_is_left)
    for module in (scrape, documents):  # not below /flask
        app.register_blueprint(module.blueprint)
    for_programs = (
        home,
        submission,
        tasks,
        download,
        events,
        failures,
        kinds,
        todos,
        schedules,
        queues,
        workers,
        autoscaler,
        health,
        compatibility,
    )
    for_people = (pages, actions, bulk, live)
    for_administrators = (login, admin, audit) if settings().auth else ()
    for module in (*for_programs, *for_people, *for_administrators):
        app.register_blueprint(module.blueprint, url_prefix="/flask")
    return app
