"""Cursors: where the next page of a list begins, as text that clients hand back as it is."""

import base64
import binascii

from webapp.problems import field_problem


def cursor_after(position: int) -> str:
    """Return the cursor of the page after the row at that position (``seq`` or ``id``)."""
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode().rstrip("=")


def position_of(cursor: str) -> int:
    """Return the position in a cursor. Raises a 422 problem for one that this API did not hand out."""
    try:
        word, _, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        if word == "after" and number.isascii() and number.isdigit() and len(number) < 19:
            return int(number)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise field_problem(422, "cursor", "not one that this API handed out; take the `next` of the page before")
