"""The memory of this worker's container, as the kernel counts it: control groups of version 2, or of version 1."""

from pathlib import Path
from typing import NamedTuple

#: Each with the files of what is used and of the limit, and the name of what `memory.stat` has of idle files. Those are
#: left out, as `docker stats` does: the kernel gives their memory away when it is needed.
_VERSIONS = (
    (Path("/sys/fs/cgroup"), "memory.current", "memory.max", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"),
)
#: Version 1 writes a very large number where there is no limit, version 2 a word.
_NO_LIMIT = 2**60


class Memory(NamedTuple):
    """Bytes that are used, and that may be; ``None`` where that is not known, or there is no limit."""

    used: int | None
    limit: int | None


def read() -> Memory:
    """Return the memory of this container."""
    for folder, used, limit, idle in _VERSIONS:
        try:
            taken = int((folder / used).read_text())
            most = (folder / limit).read_text().strip()
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        limited = most.isdigit() and int(most) < _NO_LIMIT
        return Memory(used=max(0, taken - int(counts.get(idle, 0))), limit=int(most) if limited else None)
    return Memory(used=None, limit=None)
