"""When schedules have their slots."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from jobs import slots

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def next_times(cron: str, after: str, zone: str = "UTC", count: int = 3) -> list[str]:
    found = slots.following(cron=cron, every=None, timezone=zone, after=at(after, zone), anchor=0, count=count)
    return [datetime.fromtimestamp(slot, ZoneInfo(zone)).isoformat(timespec="minutes") for slot in found]


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("*/5 * * * *", "2026-01-01T00:02", "2026-01-01T00:05+00:00"),
        ("*/5 * * * *", "2026-01-01T00:05", "2026-01-01T00:10+00:00"),
        ("30 2 * * *", "2026-01-01T03:00", "2026-01-02T02:30+00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00+00:00"),
        ("0 9 * * MON", "2026-11-21T00:00", "2026-11-23T09:00+00:00"),
    ],
)
def test_a_slot_comes_after_the_moment_and_never_at_it(cron: str, after: str, expected: str) -> None:
    assert next_times(cron, after, count=1) == [expected]


def test_a_zone_tells_what_the_hours_mean() -> None:
    (slot,) = slots.following(
        cron="0 9 * * *", every=None, timezone="Asia/Tokyo", after=at("2026-01-01T00:30"), anchor=0, count=1
    )
    assert datetime.fromtimestamp(slot, UTC).isoformat() == "2026-01-02T00:00:00+00:00"


def test_an_hour_that_is_left_out_moves_a_slot_and_one_that_comes_twice_does_not_repeat_it() -> None:
    # In Berlin 02:00 becomes 03:00 on 29 March 2026, and 03:00 becomes 02:00 on 25 October.
    assert next_times("30 2 * * *", "2026-03-28T12:00", BERLIN, 2) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:30+02:00",
    ]
    assert next_times("30 2 * * *", "2026-10-24T12:00", BERLIN, 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
    ]


def test_every_hour_comes_in_each_hour_that_there_is() -> None:
    assert next_times("0 * * * *", "2026-03-29T00:30", BERLIN) == [
        "2026-03-29T01:00+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-29T04:00+02:00",
    ]
    assert next_times("0 * * * *", "2026-10-25T01:30", BERLIN) == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]


@pytest.mark.parametrize(
    ("after", "expected"), [(100, [110, 120]), (109, [110, 120]), (110, [120, 130]), (157.5, [160, 170])]
)
def test_slots_of_so_many_seconds_keep_their_step(after: float, expected: list[float]) -> None:
    found = slots.following(cron=None, every=10, timezone="UTC", after=after, anchor=100, count=2)
    assert found == expected


@pytest.mark.parametrize("cron", ["*/5 * * * *", "0 0 29 2 *", "15,45 8-18 * * MON-FRI", "0 0 L * *"])
def test_cron_expressions_are_taken(cron: str) -> None:
    slots.check_cron(cron)
    assert slots.in_words(cron)


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "* * * * * *", "60 * * * *", "*/0 * * * *", "@daily", "soon", "0 0 31 2 *", "0 0 30 2 *"]
)
def test_what_is_none_or_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match="Input should be a cron expression"):
        slots.check_cron(cron)


@pytest.mark.parametrize("name", ["", "Berlin", "europe/berlin", "../UTC"])
def test_a_zone_that_is_not_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a time zone"):
        slots.zone(name)
