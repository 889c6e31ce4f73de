"""Templates of the dashboard, and how they write times, durations and values.

An environment of our own, because the parts that are pushed to browsers are rendered outside of any request.
"""

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from jobs import __version__
from jobs.catalogue import QUEUES
from webapp.auth.actor import actor, may_change
from webapp.auth.csrf import field, token
from webapp.preferences import CHOICES, chosen

#: Characters of a value that a row of a list shows.
PREVIEW = 120


def render(template: str, **values: Any) -> str:
    """Return a template, filled in."""
    return _environment.get_template(template).render(values)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def iso(seconds: float) -> str:
    """Return a time for programs, to the millisecond."""
    return _moment(seconds).isoformat(timespec="milliseconds")


def utc(seconds: float) -> str:
    """Return a time for people, as a page without JavaScript shows it."""
    return f"{_moment(seconds):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return a duration, rounded down: ``0.4 s``, ``12 s``, ``2:03`` or ``1:02:03``; ``times.js`` does the same."""
    if seconds < 10:
        return f"{math.floor(seconds * 10) / 10:.1f} s"
    if seconds < 60:
        return f"{math.floor(seconds)} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def gap(seconds: float) -> str:
    """Return the time between two things that happened: ``4 ms``, and from a second on as :func:`duration`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else duration(seconds)


def short(value: Any) -> str:
    """Return a value in one short line."""
    if isinstance(value, dict):
        text = ", ".join(f"{name}: {short(part)}" for name, part in value.items())
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…"


def megabytes(count: int) -> str:
    """Return a number of bytes as ``175 MB``."""
    return f"{count / 2**20:,.0f} MB"


def pretty(value: Any) -> str:
    """Return a value in full: text as it is, anything else as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


_environment = Environment(
    loader=PackageLoader("webapp"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    iso=iso, utc=utc, duration=duration, gap=gap, short=short, pretty=pretty, megabytes=megabytes
)
_environment.globals.update(
    now=time.time,
    queue_names=list(QUEUES),
    version=__version__,
    actor=actor,
    may_change=may_change,
    csrf_field=field,
    csrf_token=token,
    choices=CHOICES,
    preferences=chosen,
)
