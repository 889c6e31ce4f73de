"""The id of the request: the client's own, or one that Nginx has made. It joins the lines of all logs."""

import re

from flask import request

#: What Nginx lets through, see `nginx.conf`: it goes into logs, into a column, and back to the client.
_KEPT = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id() -> str | None:
    """Return the header ``X-Request-ID``; ``None`` if there is none that can be kept, as without Nginx."""
    given = request.environ.get("HTTP_X_REQUEST_ID", "")
    return given if _KEPT.fullmatch(given) else None
