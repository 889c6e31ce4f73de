"""The token in forms that a page of another site cannot know (Flask-WTF), for people whose browser sends a cookie."""

from flask import has_request_context, request
from flask_wtf.csrf import generate_csrf, validate_csrf
from markupsafe import Markup
from wtforms import ValidationError

from webapp.auth.actor import actor

#: Where a form, or a script, has it.
FIELD, HEADER = "csrf_token", "X-CSRFToken"


def token() -> str:
    """Return the token of the session; nothing where no form needs one."""
    asking = actor()
    if asking is not None:
        return generate_csrf() if asking.token is None else ""
    # Who is about to log in has a session as well: another site is not to log them in as somebody else.
    return generate_csrf() if has_request_context() and request.blueprint == "login" else ""


def field() -> Markup:
    """Return the hidden field for a form; nothing where it needs none."""
    made = token()
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, made) if made else Markup("")


def sent() -> bool:
    """Tell whether the present request has the token of its session."""
    try:
        validate_csrf(request.headers.get(HEADER) or request.form.get(FIELD))
    except ValidationError:
        return False
    return True
