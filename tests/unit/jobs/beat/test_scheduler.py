"""The duties of beat that need no broker: dead workers, told by their leases and not by clocks, and old files."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from jobs.app import app
from jobs.beat import scheduler
from jobs.ledger import workers
from jobs.ledger.database import Ledger
from jobs.ledger.schema import worker
from jobs.settings import settings


class Beat:
    """A scheduler that looks after the workers twice a second, on a clock of the test."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ledger = ledger
        self._now = 0.0
        monkeypatch.setattr(scheduler, "ledger", lambda: ledger)
        monkeypatch.setattr(scheduler, "time", SimpleNamespace(monotonic=lambda: self._now, time=lambda: 1e9))
        self._scheduler: Any = scheduler.LedgerScheduler(app, lazy=True)

    def watch(self, seconds: float, *, first_renewal: float | None = None, in_vain: bool = False) -> None:
        """Let time pass; the worker renews its lease each second if it is said what its clock shows.

        `in_vain` says that no look can succeed.
        """
        for half in range(int(seconds * 2)):
            self._now += 0.5
            if first_renewal is not None:
                with self._ledger.writing() as connection:
                    connection.execute(update(worker).values(seen_at=first_renewal + half // 2))
            with pytest.raises(SQLAlchemyError) if in_vain else nullcontext():
                self._scheduler._retire_dead_workers()

    def workers(self) -> int:
        with self._ledger.reading() as connection:
            return len(workers.registered(connection))


@pytest.mark.parametrize("clock", [1e9 - 3600, 1e9, 1e9 + 3600])
def test_a_worker_whose_clock_is_wrong_lives_as_long_as_it_renews_its_lease(
    clock: float, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.writing() as connection:
        workers.register(connection, "w1", "w1", "heavy", 1)
    beat = Beat(ledger, monkeypatch)
    lease = settings().worker_lease
    beat.watch(3 * lease, first_renewal=clock)
    assert beat.workers() == 1
    beat.watch(lease - 1)
    assert beat.workers() == 1
    beat.watch(2)
    assert beat.workers() == 0


@contextmanager
def outage(ledger: Ledger, request: pytest.FixtureRequest) -> Iterator[None]:
    """Let nobody use the ledger for a while: the file is away, or the server takes no connection."""
    if ledger.file is None:
        with request.getfixturevalue("server").outage(ledger.url):
            yield
    else:
        away = ledger.file.rename(ledger.file.with_name("away.db"))
        yield
        away.rename(ledger.file)


def test_nobody_is_retired_because_the_ledger_could_not_be_read(
    ledger: Ledger, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.writing() as connection:
        workers.register(connection, "w1", "w1", "heavy", 1)
    beat = Beat(ledger, monkeypatch)
    lease = settings().worker_lease
    beat.watch(2 * lease, first_renewal=1e9)
    with outage(ledger, request):  # neither can the worker renew its lease, nor beat look
        beat.watch(2 * lease, in_vain=True)
    beat.watch(1)
    assert beat.workers() == 1
    beat.watch(lease / 2, first_renewal=2e9)
    beat.watch(lease - 1)
    assert beat.workers() == 1
    beat.watch(lease)
    assert beat.workers() == 0


def test_clearing_of_files_goes_on_tick_after_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "exports_dir", tmp_path)
    monkeypatch.setattr(settings(), "export_expires", -1)
    monkeypatch.setattr(scheduler, "REMOVE_BUDGET", 0)
    for number in range(3):
        (tmp_path / f"{number}.csv").touch()
    beat = scheduler.LedgerScheduler(app, lazy=True)
    left = []
    for _ in range(5):
        beat._remove_expired_files()
        left.append(len(list(tmp_path.iterdir())))
    assert left == [2, 1, 0, 0, 0]
    (tmp_path / "later.csv").touch()
    beat._remove_expired_files()
    assert len(list(tmp_path.iterdir())) == 1, "the next clearing is not due yet"
