"""The machine that was measured on; no names of hosts or people."""

import os
import platform
import time
from pathlib import Path
from typing import Any

from bench.compare.contestants import DATA, docker


def describe() -> dict[str, Any]:
    """Return what matters for the figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "gigabytes": round(memory / 2**30),
        "kernel": platform.release(),
        "docker": docker("version", "--format", "{{.Server.Version}}").strip(),
        "fdatasync": fdatasync_seconds(),
    }


def fdatasync_seconds(times: int = 200) -> float:
    """Return how long the disk of the databases takes to have 4 kB for sure: the median of some writes."""
    DATA.mkdir(parents=True, exist_ok=True)
    file = DATA / "fdatasync"
    took = []
    with file.open("wb", buffering=0) as target:
        for _ in range(times):
            target.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(target.fileno())
            took.append(time.perf_counter() - began)
    file.unlink()
    return sorted(took)[times // 2]
