"""Sessions of people: Flask's signed cookie, which names the account and its stamp. Nothing of it is kept here.

With a new stamp in the account all its sessions have ended. ``session_keys`` has the newest key first, by which cookies
are signed; the others are for cookies that were signed before the keys were renewed.
"""

import time

from apiflask import APIFlask
from flask import Flask, Request, Response, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from jobs.ledger import accounts
from jobs.ledger.database import ledger
from jobs.ledger.records import Account, Role
from jobs.settings import settings
from webapp.auth.actor import Actor
from webapp.auth.remembered import Remembered


class Sessions(SecureCookieSessionInterface):
    """Flask's sessions, which cost nothing where nobody asks for one, as for programs: they send no cookie."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request."""
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Add the cookie to an answer, if there is anything new in it."""
        if session.accessed:
            super().save_session(app, session, response)


def configure(app: APIFlask) -> None:
    """Set up the cookie. Raises :class:`RuntimeError` without a key."""
    keys = settings().secret("session_keys").split()
    if not keys:
        raise RuntimeError("AUTH=on needs the secret session_keys, which build.sh makes")
    app.session_interface = Sessions()
    app.config.update(
        SECRET_KEY=keys[0],
        SECRET_KEY_FALLBACKS=keys[1:],
        WTF_CSRF_SECRET_KEY=keys[::-1],  # the newest last; forms that were open before are still good
        # By this prefix browsers know that the cookie is for this host alone, and only over TLS or on localhost.
        SESSION_COOKIE_NAME="__Host-warren",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )


def begin(account: Account) -> None:
    """Let a person in: from now on the browser sends the cookie."""
    session.clear()  # nothing of what a stranger may have put there before
    session.update(account=account.name, stamp=account.stamp, since=time.time())


def end() -> None:
    """Let the browser forget the cookie."""
    session.clear()


def visitor() -> Actor | None:
    """Return the person whose session the present request belongs to, if it belongs to one that has not ended."""
    if "account" not in session:
        return None
    name, stamp, since = session["account"], session["stamp"], session["since"]
    account = _account(name, stamp, since)
    if account is None:
        return None
    return Actor(
        who=account.name,
        role=Role.of(account.role),
        token=None,
        still_in=lambda: _account(name, stamp, since) is not None,
    )


def _account(name: str, stamp: str, since: float) -> Account | None:
    """Return whose session it is, if it has not ended."""
    return _accounts.get(f"{name}/{stamp}") if time.time() < since + settings().session_lifetime else None


def _find(key: str) -> Account | None:
    # By the stamp, too: a session that has just begun is let in by a process that remembers the earlier stamp.
    name, _, stamp = key.partition("/")
    with ledger().reading() as connection:
        account = accounts.find(connection, name)
    return account if account is not None and account.stamp == stamp else None


_accounts = Remembered(_find)
