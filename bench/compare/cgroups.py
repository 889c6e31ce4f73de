"""What a stack's containers use, from the kernel's own accounts: cgroups, version 1 or 2."""

from collections.abc import Callable
from pathlib import Path

from bench.compare.contestants import Contestant, docker

_ROOT = Path("/sys/fs/cgroup")


def processor_seconds(contestant: Contestant) -> dict[str, float]:
    """Return the processor time that each container has used since its start, by role."""
    return {role: _processor_seconds(pid) for role, pid in pids(contestant).items()}


def memory_bytes(contestant: Contestant) -> dict[str, int]:
    """Return the memory of each container, by role: what its processes hold, without the cache of files."""
    return {role: _memory_bytes(pid) for role, pid in pids(contestant).items()}


def memory_reader(contestant: Contestant, role: str) -> Callable[[], int]:
    """Return a quick way to read the memory of one container again and again."""
    pid = pids(contestant)[role]
    return lambda: _memory_bytes(pid)


def used(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the seconds between two readings; a container that was not there before began at zero."""
    return {role: seconds - before.get(role, 0) for role, seconds in after.items()}


def pids(contestant: Contestant) -> dict[str, int]:
    """Return the main process of each container, by role."""
    roles = contestant.roles()
    pids = docker("inspect", "--format", "{{.State.Pid}}", *roles.values()).split()
    return {role: int(pid) for role, pid in zip(roles, pids, strict=True)}


def _folder(pid: int, controller: str) -> tuple[Path, bool]:
    """Return the folder of a process's cgroup, and whether it is of version 1."""
    unified = ""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return _ROOT / controller / path[1:], True
        if not controllers:
            unified = path[1:]
    return _ROOT / unified, False


def _processor_seconds(pid: int) -> float:
    folder, first = _folder(pid, "cpuacct")
    if first:
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    return _values(folder / "cpu.stat")["usage_usec"] / 1e6


def _memory_bytes(pid: int) -> int:
    folder, first = _folder(pid, "memory")
    values = _values(folder / "memory.stat")
    if first:
        return values["total_rss"] + values.get("total_shmem", 0)
    return values["anon"] + values["shmem"]


def _values(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}
