from pathlib import Path

import pytest

from jobs import scheduler
from jobs.app import app
from jobs.settings import settings


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
