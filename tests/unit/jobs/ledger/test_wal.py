"""The write-ahead log stays small whatever the traffic, unless somebody reads on in one transaction.

SQLite begins the log anew when a checkpoint has copied all of it and nobody reads from it; the file keeps its size, so
that its size at the end is the largest that it had.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from jobs import states
from jobs.ledger import engines, expiry, moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import DueJob, NewJob, Outcome
from jobs.question import Question
from tests.support.databases import on_sqlite

pytestmark = on_sqlite

BATCH = 50
#: A checkpoint after so many pages; fewer than otherwise, so that a short test has many.
PAGES = 50
#: Bytes that the log may have: now and then a reader is just in the way when it could begin anew.
BOUND = 20 * PAGES * 4096


@pytest.fixture
def busy_ledger(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger, with checkpoints at ``PAGES``."""
    ledger.dispose()
    monkeypatch.setattr(engines, "CHECKPOINT_PAGES", PAGES)
    return ledger


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    return tmp_path / "backend.db-wal"


def live(ledger: Ledger, jobs: int) -> None:
    """Take jobs from submission to expiry, as web, relay, workers and beat do."""
    for _ in range(0, jobs, BATCH):
        batch = [NewJob(type="heavy", queue="heavy", params={"seconds": 1}) for _ in range(BATCH)]
        with ledger.writing() as connection:
            for new in batch:
                moves.add(connection, new)
        with ledger.writing() as connection:
            moves.mark_published(
                connection,
                [
                    DueJob(id=new.id, type=new.type, queue=new.queue, params=new.params, due_at=new.due_at)
                    for new in batch
                ],
            )
        for new in batch:
            with ledger.writing(durable=False) as connection:
                assert moves.claim(connection, [new.id], "w1")[new.id].attempt == 1
                assert moves.report_progress(connection, new.id, 1, {"percent": 50})
            with ledger.writing() as connection:
                assert moves.succeed(connection, Outcome(job_id=new.id, attempt=1, result="This task took 1 second."))
        expiry.remove_old(ledger, time.time() - 1, budget=0.05)


@contextmanager
def asking(ledger: Ledger, *questions: Callable[[Connection], object]) -> Iterator[None]:
    """Ask these questions all the time, on one connection that stays open, as the event feed does."""
    stop = threading.Event()

    def ask() -> None:
        with ledger.reading() as connection:
            while not stop.wait(0.02):
                for question in questions:
                    question(connection)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_log_does_not_grow_with_the_traffic(busy_ledger: Ledger, wal: Path, pytestconfig: pytest.Config) -> None:
    feed = asking(busy_ledger, queries.data_version, lambda c: queries.touched_since(c, time.time() - 5, 501))
    lists = asking(
        busy_ledger,
        lambda c: queries.page(c, limit=50),
        lambda c: queries.page(c, Question(states=states.ENDED), limit=50),
        queries.backlog,
    )
    with feed, lists:
        live(busy_ledger, pytestconfig.getoption("--jobs-of-a-day"))
    assert 0 < wal.stat().st_size < BOUND


def test_a_reader_who_stays_makes_the_log_grow_and_it_recovers(busy_ledger: Ledger, wal: Path) -> None:
    with busy_ledger.reading() as reader:
        reader.exec_driver_sql("BEGIN")
        queries.backlog(reader)
        live(busy_ledger, 200)
        grown = wal.stat().st_size
        assert grown > BOUND
        reader.exec_driver_sql("COMMIT")
    live(busy_ledger, 200)
    assert wal.stat().st_size < grown + BOUND
