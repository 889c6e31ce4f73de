"""How somebody wants to see the pages: kept in cookies of their browser, which pages are rendered by."""

from collections.abc import Mapping

from flask import Response, has_request_context, request

#: What can be chosen, with what it is called. What stands first is how it is at the beginning.
CHOICES = {
    "theme": {"auto": "as the system", "light": "light", "dark": "dark"},
    "times": {"local": "my own", "utc": "UTC"},
    "updates": {"live": "live", "paused": "paused"},
}

#: Seconds that a browser keeps it: a year.
KEPT_FOR = 366 * 86400


def chosen() -> dict[str, str]:
    """Return what whoever has sent the present request has chosen."""
    return _valid(request.cookies if has_request_context() else {})


def keep(answer: Response, wanted: Mapping[str, str]) -> None:
    """Have the browser keep what is wanted; what cannot be chosen counts as not chosen."""
    for name, value in _valid(wanted).items():
        answer.set_cookie(
            name,
            value,
            max_age=KEPT_FOR,
            path="/",  # the documentation is not below /flask
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )


def _valid(wanted: Mapping[str, str]) -> dict[str, str]:
    return {
        name: found if (found := wanted.get(name, "")) in values else next(iter(values))
        for name, values in CHOICES.items()
    }
