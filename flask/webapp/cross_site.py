"""Refuse what a page of another site makes the browser send: it would change something in the visitor's name.

A browser sends a request to any address that a page names, wherever that page comes from. It says so in two headers
that no page can set. ``Sec-Fetch-Site`` (Fetch Metadata) compares the page with the address that is asked. ``Origin``
names the page's site. It is for browsers that are older, and for those that ask another machine by plain HTTP, where
they leave the first one out. Programs send neither: nobody can make them send a request that they did not mean.
"""

from flask import Flask, request

from webapp.auth.roles import changes
from webapp.problems import Problem

#: The page is one of ours; or there is none, because a person typed the address or chose a bookmark. `same-site` is not
#: enough: another program on another port of this machine is of the same site.
_OURS = {"same-origin", "none"}


def register(app: Flask) -> None:
    """Look at each request before anything else does."""
    app.before_request(_refuse_other_sites)


def _refuse_other_sites() -> None:
    if changes(request.endpoint, request.method) and not _is_from_here():
        raise Problem(
            403,
            "A page of another site asked for this, and it would change something. If you want it, open the address "
            "yourself: type it, or use a bookmark.",
        )


def _is_from_here() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OURS
    origin = request.headers.get("Origin")
    return origin is None or origin.lower() == f"{request.scheme}://{request.host}"
