"""Page or JSON: one address serves people and programs; the ``Accept`` header tells them apart (RFC 9110, 12.5.1)."""

from flask import Response, after_this_request, request


def wants_html() -> bool:
    """Return whether the client prefers a page, as browsers do; curl's ``*/*`` gets JSON.

    The answer says that it depends on the header, so that no cache gives a program the page.
    """
    after_this_request(_vary)
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _vary(answer: Response) -> Response:
    answer.vary.add("Accept")
    return answer
