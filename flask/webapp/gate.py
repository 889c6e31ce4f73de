"""The gate that each request passes: who is asking, and may they?"""

import time
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Request, Response, g, request, session

from jobs.ledger import audit, tokens
from jobs.ledger.database import ledger
from jobs.ledger.records import Role, Token
from webapp.auth import csrf, sessions, trail
from webapp.auth.actor import Actor
from webapp.auth.remembered import Remembered
from webapp.auth.roles import SAFE, needed
from webapp.intake import intake
from webapp.negotiation import wants_html
from webapp.problems import Problem


def check() -> Response | None:
    """Let a request through that may pass. Raises a 401 or 403 problem; a person who asks for a page may log in."""
    asked = request._get_current_object()  # type: ignore[attr-defined]  # looked up once, and not for each part
    asking = g.actor = _identified(asked)
    role = needed(asked.endpoint, asked.method)
    if role is None:
        return None
    if asking is None:
        if asked.method in ("GET", "HEAD") and wants_html():
            return to_login()
        raise Problem(
            401,
            "Say who you are: with the header Authorization: Bearer TOKEN, or by logging in at /flask/login.",
            headers={"WWW-Authenticate": 'Bearer realm="Warren"'},
        )
    if not asking.may(role):
        _note_refusal()
        raise Problem(403, f"This needs the role {role.word}; yours is {asking.role.word}.")
    if asking.token is None and asked.method not in SAFE:
        check_form()
    return None


def to_login() -> Response:
    """Lead to the page where people log in, and from there back to where they wanted to go."""
    there = request.full_path.rstrip("?")
    return Response(status=303, headers={"Location": f"/flask/login?{urlencode({'next': there})}"})


def check_form() -> None:
    """Raise a 403 problem for a form that does not have the token of the session."""
    if not csrf.sent():
        raise Problem(403, "This form is too old, or from elsewhere. Load the page again.")


def _note_refusal() -> None:
    told = trail.entry(request.method.lower(), request.path, "The role was not enough.")
    if told is not None:
        intake().write(lambda connection: audit.add(connection, told._replace(outcome="refused")))


def _identified(asked: Request) -> Actor | None:
    given = asked.environ.get("HTTP_AUTHORIZATION")
    if given is None:
        return sessions.visitor() if session else None
    scheme, _, shown = given.partition(" ")
    return _program(shown.strip()) if scheme.lower() == "bearer" else None


def _program(shown: str) -> Actor | None:
    """Return whose token somebody has shown, if it is good at this moment."""
    known = _programs.get(shown)
    return known.actor if known is not None and not known.token.expired else None


@dataclass(frozen=True)
class _Program:
    token: Token
    actor: Actor


def _find(shown: str) -> _Program | None:
    with ledger().reading() as connection:
        token = tokens.find(connection, shown)
    if token is None:
        return None
    if not token.expired and (token.last_used_at or 0) < time.time() - tokens.USED_EVERY:
        # Reading needs no ledger that can be written. If this fails, the next look at the token tries again.
        intake().write_later(lambda connection: tokens.note_use(connection, token.name))
    actor = Actor(
        who=f"token {token.name}",
        role=Role.of(token.role),
        token=token.name,
        still_in=lambda: _program(shown) is not None,
    )
    return _Program(token, actor)


_programs = Remembered(_find)
