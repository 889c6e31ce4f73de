import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.exports import folder
from jobs.settings import settings

JOB = "6f3c1c7e-2a5b-4f0e-9b57-0d6f6f1f6a11"


@pytest.fixture
def exports_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EXPORTS_DIR", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_a_file_appears_when_it_is_whole_and_what_dead_runs_left_goes(exports_dir: Path) -> None:
    (exports_dir / f"{JOB}.1.part").write_text("half")
    with folder.write(JOB, 2) as file:
        file.write("all of it\r\n")
        assert [path.name for path in exports_dir.iterdir()] == [f"{JOB}.2.part"]
    assert [path.name for path in exports_dir.iterdir()] == [f"{JOB}.csv"]
    assert folder.path_of(JOB).read_bytes() == b"all of it\r\n"


def test_a_file_that_cannot_be_finished_is_not_there(exports_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder.write(JOB, 1):
        raise ZeroDivisionError
    assert list(exports_dir.iterdir()) == []


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "", "x", JOB.upper(), f"{{{JOB}}}", f"{JOB}/../a"])
def test_only_a_jobs_id_leads_to_a_file(job_id: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        folder.path_of(job_id)


def test_old_files_are_removed_and_nothing_else(exports_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old.csv", "old.1.part", "old.txt", "new.csv"):
        (exports_dir / name).touch()
    monkeypatch.setattr(settings(), "export_expires", 60)
    for name in ("old.csv", "old.1.part", "old.txt"):
        os.utime(exports_dir / name, (0, time.time() - 61))
    assert sum(folder.remove_expired()) == 2
    assert {path.name for path in exports_dir.iterdir()} == {"old.txt", "new.csv"}


def test_a_clearing_may_stop_at_any_file_and_go_on(exports_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (exports_dir / f"{number}.csv").touch()
    monkeypatch.setattr(settings(), "export_expires", -1)
    clearing = folder.remove_expired()
    assert [next(clearing) for _ in range(5)] == [True] * 5
    assert len(list(exports_dir.iterdir())) == 15
    for file in list(exports_dir.iterdir())[:5]:  # a worker replaces or removes them meanwhile
        file.unlink()
    assert sum(clearing) == 10
    assert list(exports_dir.iterdir()) == []
