"""The pages where people log in and out, and change their password."""

import math
import time

from apiflask import APIBlueprint
from flask import Response, request
from sqlalchemy import Connection

from jobs.errors import storable
from jobs.ledger import accounts, audit, logins
from jobs.ledger.database import ledger
from jobs.ledger.records import Account, AuditEntry
from webapp import gate
from webapp.auth import passwords, people, sessions, trail
from webapp.auth.actor import actor
from webapp.intake import intake
from webapp.problems import Problem
from webapp.rendering import render

blueprint = APIBlueprint("login", __name__, enable_openapi=False)


@blueprint.get("/login")
def page() -> Response:
    """Show the form."""
    return _form(200)


@blueprint.post("/login")
def enter() -> Response:
    """Let somebody in who knows the password. After too many wrong ones the answer is 429, and when to come back."""
    gate.check_form()
    name, password = storable(request.form.get("name", "").strip()), request.form.get("password", "")
    counted_for = logins.subjects(name, trail.address())
    with ledger().reading() as connection:
        seconds = math.ceil(logins.wait(connection, counted_for))
        account = accounts.find(connection, name)
    if seconds > 0:
        again = f"{seconds} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
        answer = _form(429, name=name, error=f"Too many wrong passwords. Try again in {again}.")
        answer.headers["Retry-After"] = str(seconds)
        return answer
    if not passwords.is_right(password, account.password_hash if account else None) or account is None:
        told = _entry(name, "", "refused", "Wrong name or password.")

        def refuse(connection: Connection) -> None:
            logins.failed(connection, counted_for)
            audit.add(connection, told)

        intake().write(refuse)
        return _form(401, name=name, error="This name and this password do not belong together.")
    _welcome(account, counted_for)
    return _see(_there())


def _welcome(account: Account, counted_for: list[str]) -> None:
    told = _entry(account.name, account.role, "done", "")

    def welcome(connection: Connection) -> None:
        logins.succeeded(connection, counted_for)
        accounts.note_login(connection, account.name)
        audit.add(connection, told)

    intake().write(welcome)
    sessions.begin(account)


@blueprint.post("/logout")
def leave() -> Response:
    """End the session in this browser."""
    sessions.end()
    return _see("/flask/login")


@blueprint.get("/account")
def account_page() -> Response:
    """Show who is logged in, with a form for another password."""
    return _account(200)


@blueprint.post("/logout/everywhere")
def leave_everywhere() -> Response:
    """End all sessions of this person."""
    name = _myself()
    intake().write(trail.noted("logout_everywhere", name, lambda connection: accounts.end_sessions(connection, name)))
    sessions.end()
    return _see("/flask/login")


@blueprint.post("/account")
def change_password() -> Response:
    """Give the person who is logged in another password. All their sessions end but this one."""
    name = _myself()
    with ledger().reading() as connection:
        account = accounts.find(connection, name)
    if account is None or not passwords.is_right(request.form.get("password", ""), account.password_hash):
        return _account(422, error="This is not your password of now.")
    try:
        kept = passwords.hash_of(request.form.get("new", ""))
    except ValueError as error:
        return _account(422, error=str(error))

    def change(connection: Connection) -> Account | None:
        people.give_password(connection, name, kept)
        return accounts.find(connection, name)

    changed = intake().write(trail.noted("change_password", name, change))
    if changed is not None:
        sessions.begin(changed)
    return _see("/flask/account?said=saved")


def _myself() -> str:
    asking = actor()
    if asking is None or asking.token is not None:
        raise Problem(403, "This is for people who have logged in, not for tokens.")
    return asking.who


def _entry(name: str, role: str, outcome: str, detail: str) -> AuditEntry:
    return AuditEntry(
        at=time.time(),
        who=name[:80],
        role=role,
        address=trail.address(),
        action="login",
        subject="",
        outcome=outcome,
        detail=detail,
    )


def _there() -> str:
    """Return where the person wanted to go: a path of this host, and never another one."""
    there = request.args.get("next", "")
    return there if there.startswith("/") and not there.startswith(("//", "/\\")) else "/flask"


def _form(status: int, **values: str) -> Response:
    shown = {"name": "", "error": "", "there": _there()} | values
    return _no_store(Response(render("login.html", **shown), status, mimetype="text/html"))


def _account(status: int, error: str = "") -> Response:
    notice = "Saved." if request.args.get("said") == "saved" else ""
    return _no_store(Response(render("account.html", error=error, notice=notice), status, mimetype="text/html"))


def _see(path: str) -> Response:
    return Response(status=303, headers={"Location": path})


def _no_store(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer
