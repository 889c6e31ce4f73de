"""What the three channels tell, of a real ledger."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, update
from webapp.api.events import AllJobs, OneJob
from webapp.models.common import PAGE
from webapp.pages import live
from webapp.pages.live import Pages
from webapp.streaming.feed import changed_since

from jobs.ledger import moves
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.ledger.schema import job


@pytest.fixture
def connection(ledger: Ledger) -> Iterator[Connection]:
    with ledger.reading() as connection:
        yield connection


def add_job(ledger: Ledger) -> str:
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing(durable=False) as connection:
        moves.add(connection, new)
    return new.id


def make_old(ledger: Ledger) -> None:
    """Make all jobs as if they had been accepted an hour ago."""
    with ledger.writing(durable=False) as connection:
        connection.execute(update(job).values(created_at=time.time() - 3600))


def test_all_jobs_tells_a_newcomer_nothing_and_one_who_returns_what_it_missed(
    ledger: Ledger, connection: Connection
) -> None:
    job_id = add_job(ledger)
    assert AllJobs().opening(connection, None) == b""
    assert job_id.encode() in AllJobs().opening(connection, time.time() - 1)
    make_old(ledger)
    assert AllJobs().opening(connection, time.time() - 1) == b""


def test_all_jobs_tells_that_too_much_has_changed(connection: Connection) -> None:
    assert b"event: reset\n" in AllJobs().news(connection, None)


def test_one_job_is_told_when_it_changes_and_until_it_ends(ledger: Ledger, connection: Connection) -> None:
    job_id = add_job(ledger)
    channel = OneJob(job_id)
    assert b'"state": "PENDING"' in channel.opening(connection, None)
    assert channel.news(connection, []) == b""
    with ledger.writing(durable=False) as writing:
        moves.cancel(writing, job_id)
    assert not channel.ended()
    assert b'"state": "REVOKED"' in channel.news(connection, changed_since(connection, time.time()))
    assert channel.ended()
    assert channel.news(connection, None) == b""


def test_pages_tell_rows_since_the_last_event_however_long_ago_that_was(ledger: Ledger, connection: Connection) -> None:
    job_id = add_job(ledger)
    make_old(ledger)
    row = f'id="job-{job_id}"'.encode()
    assert row in Pages().opening(connection, 0.0)
    assert row not in Pages().opening(connection, None)


def test_pages_tell_the_newest_page_when_more_rows_have_changed(ledger: Ledger, connection: Connection) -> None:
    for _ in range(PAGE + 1):
        add_job(ledger)
    text = Pages().opening(connection, time.time())
    assert b"event: reset\n" in text
    assert text.count(b'id="job-') == PAGE


def test_pages_tell_the_panel_now_and_then_and_each_newcomer_at_once(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = Pages()
    assert b"event: panel\n" in pages.news(connection, [])
    assert pages.news(connection, []) == b""
    assert b"event: panel\n" in pages.opening(connection, None)
    monkeypatch.setattr(live, "PANEL_EVERY", 0.0)
    pages = Pages()
    assert all(b"event: panel\n" in pages.news(connection, []) for _ in range(2))
