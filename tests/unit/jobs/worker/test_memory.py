"""The memory of a container, from files as the two versions of control groups have them."""

from pathlib import Path

import pytest

from jobs.worker import memory


@pytest.mark.parametrize(
    ("number", "most", "limit"), [(0, "4096", 4096), (0, "max", None), (1, str(2**63 - 4096), None)]
)
def test_what_idle_files_use_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, most: str, limit: int | None
) -> None:
    _, used, of_limit, idle = memory._VERSIONS[number]
    (tmp_path / used).write_text("1000\n")
    (tmp_path / of_limit).write_text(f"{most}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\n{idle} 300\nfile 7\n")
    monkeypatch.setattr(memory, "_VERSIONS", [(tmp_path / "missing", "a", "b", "c"), (tmp_path, used, of_limit, idle)])
    assert memory.read() == (700, limit)


def test_where_there_are_no_such_files_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_VERSIONS", [(Path("/nowhere"), "a", "b", "c")])
    assert memory.read() == (None, None)
