"""The page for administrators: who may log in, and which programs have a token."""

from collections.abc import Callable
from typing import TypeVar

from apiflask import APIBlueprint
from flask import Response, request
from sqlalchemy import Connection

from jobs.ledger import accounts, tokens
from jobs.ledger.database import ledger
from jobs.ledger.records import Role
from webapp.auth import passwords, people, trail
from webapp.intake import intake
from webapp.rendering import render

blueprint = APIBlueprint("admin", __name__, enable_openapi=False)

T = TypeVar("T")


@blueprint.get("/admin")
def page() -> Response:
    """Show people and tokens."""
    return _page()


@blueprint.get("/admin/tools")
def tools() -> Response:
    """Say that an administrator may use the tools: Nginx asks this before it lets somebody through to them."""
    return Response(status=204)


@blueprint.post("/admin/people")
def add() -> Response:
    """Let somebody in, with a password that is shown once."""
    name, role = _sent("name"), _role()
    password = passwords.new_password()
    kept = passwords.hash_of(password)
    return _done(
        "add_person",
        name,
        lambda connection: people.add(connection, name, role, kept),
        lambda _: f"{name} may log in now, with the password {password}",
        role.word,
    )


@blueprint.post("/admin/people/<name>/password")
def give_password(name: str) -> Response:
    """Give somebody another password, which is shown once."""
    password = passwords.new_password()
    kept = passwords.hash_of(password)
    return _done(
        "give_password",
        name,
        lambda connection: people.give_password(connection, name, kept),
        lambda _: f"The password of {name} is now {password}",
    )


@blueprint.post("/admin/people/<name>/remove")
def remove(name: str) -> Response:
    """Let somebody in no more."""
    return _done(
        "remove_person",
        name,
        lambda connection: people.remove(connection, name),
        lambda _: f"{name} is let in no more.",
    )


@blueprint.post("/admin/tokens")
def add_token() -> Response:
    """Make a token for a program; it is shown once."""
    name, role, days = _sent("name"), _role(), _sent("days")

    def add(connection: Connection) -> str:
        try:
            lives = float(days) if days else None
        except ValueError:
            raise ValueError(f"{days[:20]!r} is not a number of days.") from None
        return people.add_token(connection, name, role, lives)

    return _done("add_token", name, add, lambda made: f"The token {name} is {made}", role.word)


@blueprint.post("/admin/tokens/<name>/remove")
def remove_token(name: str) -> Response:
    """Let nobody in by that token any more."""
    return _done(
        "remove_token",
        name,
        lambda connection: people.remove_token(connection, name),
        lambda _: f"The token {name} is revoked.",
    )


def _sent(field: str) -> str:
    return request.form.get(field, "").strip()


def _role() -> Role:
    try:
        return Role.of(_sent("role"))
    except KeyError:
        return Role.VIEWER  # the least


def _done(
    action: str, name: str, change: Callable[[Connection], T], words: Callable[[T], str], detail: str = ""
) -> Response:
    """Do it, and show the page with what came of it. It is no redirect: what is secret is in no address."""
    told = trail.noted(action, name, lambda connection: [change(connection)], detail)
    try:
        [value] = intake().write(told)
    except ValueError as error:
        return _page(422, error=str(error))
    return _page(notice=words(value))


def _page(status: int = 200, *, notice: str = "", error: str = "") -> Response:
    with ledger().reading() as connection:
        page = render(
            "admin.html",
            notice=notice,
            error=error,
            people=accounts.everybody(connection),
            tokens=tokens.all_of_them(connection),
            roles=[role.word for role in Role],
        )
    answer = Response(page, status, mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"
    return answer
