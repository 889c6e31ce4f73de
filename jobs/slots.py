"""The slots of a recurring job: the moments at which it makes a new job. Times are seconds since the epoch.

When summer time begins an hour is left out, and when it ends an hour comes twice. A cron expression means then what it
means to Debian's cron: a slot at a fixed hour comes once on such a day, and a slot of every hour in each hour there is.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import islice
from math import floor
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

#: Fields of a cron expression: minute, hour, day of month, month, day of week.
FIELDS = 5


@cache
def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises :class:`ValueError`."""
    if name not in available_timezones():
        raise ValueError("Input should be the name of a time zone, such as UTC or Europe/Berlin")
    return ZoneInfo(name)


def check_cron(expression: str) -> None:
    """Raise :class:`ValueError` if an expression is not one, or never comes."""
    try:
        if len(expression.split()) != FIELDS:
            raise CronSimError("it needs five fields")
        next(_moments(expression, datetime(2000, 1, 1)))
    except CronSimError as error:
        raise ValueError(f"Input should be a cron expression, such as */5 * * * *: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError("Input should be a cron expression with a slot in the next years") from None


def in_words(expression: str) -> str:
    """Return what a cron expression means: ``At 02:30 every day``."""
    words: str = CronSim(expression, datetime(2000, 1, 1)).explain()
    return words


def following(
    *, cron: str | None, every: float | None, timezone: str, after: float, anchor: float, count: int
) -> list[float]:
    """Return the next ``count`` slots after a moment.

    Slots that come ``every`` so many seconds are counted from the ``anchor``, which is one of them.
    """
    if every is not None:
        first = floor((after - anchor) / every) + 1
        return [anchor + number * every for number in range(first, first + count)]
    assert cron is not None
    moments = _moments(cron, datetime.fromtimestamp(after, zone(timezone)))
    return [moment.timestamp() for moment in islice(moments, count)]


def _moments(cron: str, after: datetime) -> Iterator[datetime]:
    return CronSim(cron, after)
