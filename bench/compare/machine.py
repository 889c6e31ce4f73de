"""The machine that was measured on; no names of hosts or people."""

import os
import platform
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.compare.contestants import DATA, docker


def describe() -> dict[str, Any]:
    """Return what matters for the figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    DATA.mkdir(parents=True, exist_ok=True)
    return {
        "cores": os.cpu_count(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "gigabytes": round(memory / 2**30),
        "kernel": platform.release(),
        "docker": docker("version", "--format", "{{.Server.Version}}").strip(),
        "limits": {
            "`fdatasync` of 4 kB on the disk of the databases": fdatasync_seconds(),
            "SQLite: one row, in a transaction of its own, with `fsync`": insert_seconds(1),
            "SQLite: one row of 50 in a transaction, with `fsync`": insert_seconds(50),
            "TCP on this machine: 100 bytes to another process and back": round_trip_seconds(),
        },
    }


# --- the limits of the machine: medians of some hundred times ---------------------------------------------------------


def fdatasync_seconds() -> float:
    """Return how long the disk takes to have 4 kB for sure."""
    file = DATA / "fdatasync"
    with file.open("wb", buffering=0) as target:

        def write() -> None:
            target.write(bytes(4096))
            os.fdatasync(target.fileno())

        seconds = _median(write)
    file.unlink()
    return seconds


def insert_seconds(rows: int) -> float:
    """Return how long SQLite takes for each row of a transaction, without anything around it."""
    with tempfile.TemporaryDirectory(dir=DATA) as folder, closing(sqlite3.connect(f"{folder}/backend.db")) as database:
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE job (id, params)")

        def insert() -> None:
            with database:
                database.executemany("INSERT INTO job VALUES (?, ?)", [(time.time(), '{"a": 2, "b": 3}')] * rows)

        return _median(insert) / rows


def round_trip_seconds() -> float:
    """Return how long a message takes to another process and back."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if (child := os.fork()) == 0:
            connection, _ = server.accept()
            while message := connection.recv(100):
                connection.sendall(message)
            os._exit(0)
        with socket.create_connection(server.getsockname()) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def ask() -> None:
                connection.sendall(bytes(100))
                connection.recv(100)

            seconds = _median(ask)
    os.waitpid(child, 0)
    return seconds


def _median(work: Callable[[], None], times: int = 300) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)
