"""Where login is switched on."""

from apiflask import APIFlask

from jobs.settings import settings
from webapp.auth import admin, audit, gate, login, sessions


def register(app: APIFlask) -> None:
    """Have everybody say who they are, if the settings say so. Comes before the routes are registered."""
    if not settings().auth:
        return
    sessions.configure(app)
    app.before_request(gate.check)
    for module in (login, admin, audit):
        app.register_blueprint(module.blueprint, url_prefix="/flask")
