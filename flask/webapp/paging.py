"""Cursors: where another page of a list begins or ends, as text that clients hand back as it is."""

import base64
import binascii

from webapp.problems import Problem, field_problem


def cursor_after(position: int) -> str:
    """Return the cursor of the page after the row at that position (``seq`` or ``id``)."""
    return _cursor("after", position)


def cursor_before(position: int) -> str:
    """Return the cursor of the page before the row at that position."""
    return _cursor("before", position)


def position_of(cursor: str) -> int:
    """Return the position in a cursor of the next page. Raises a 422 problem for one that this API did not hand out."""
    word, position = place_of(cursor)
    if word != "after":
        raise _unknown()
    return position


def place_of(cursor: str) -> tuple[str, int]:
    """Return the direction of any cursor, ``after`` or ``before``, and its position. Raises a 422 problem as above."""
    try:
        word, _, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        if word in ("after", "before") and number.isascii() and number.isdigit() and len(number) < 19:
            return word, int(number)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise _unknown()


def _cursor(word: str, position: int) -> str:
    return base64.urlsafe_b64encode(f"{word}:{position}".encode()).decode().rstrip("=")


def _unknown() -> Problem:
    return field_problem(422, "cursor", "not one that this API handed out; take the `next` of the page before")
