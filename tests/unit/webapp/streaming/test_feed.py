"""What has changed in a real ledger since the last look."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from webapp.streaming import feed as feed_module
from webapp.streaming.feed import Feed

from jobs.ledger import moves
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob


@pytest.fixture
def connection(ledger: Ledger) -> Iterator[Connection]:
    with ledger.reading() as connection:
        yield connection


def add_job(ledger: Ledger) -> str:
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing(durable=False) as connection:
        moves.add(connection, new)
    return new.id


def told(feed: Feed) -> list[tuple[str, str]]:
    change = feed.look()
    assert change is not None
    return [(row.id, row.state) for row in change]


def test_what_was_before_the_first_look_is_no_news(ledger: Ledger, connection: Connection) -> None:
    add_job(ledger)
    assert told(Feed(connection)) == []


def test_each_change_is_told_once(ledger: Ledger, connection: Connection) -> None:
    feed = Feed(connection)
    one, two = add_job(ledger), add_job(ledger)
    assert told(feed) == [(one, "PENDING"), (two, "PENDING")]
    assert told(feed) == []
    with ledger.writing(durable=False) as writing:
        moves.claim(writing, [one], "w1")
    assert told(feed) == [(one, "STARTED")]
    with ledger.writing(durable=False) as writing:
        moves.report_progress(writing, one, 1, {"percent": 50})
    assert told(feed) == [(one, "PROGRESS")]


def test_more_changes_than_anybody_reads_are_too_many(
    ledger: Ledger, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LARGEST_CHANGE", 3)
    feed = Feed(connection)
    for _ in range(4):
        add_job(ledger)
    assert feed.look() is None
