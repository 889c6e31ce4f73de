"""Large tables: pages of a list of jobs, and the export of a million to-dos."""

import pickle
import sqlite3
import statistics
import time
from contextlib import closing

from bench.compare.cgroups import memory_reader
from bench.compare.client import Client
from bench.compare.contestants import ROOT, Contestant, docker
from bench.compare.load import TOOLS
from bench.compare.row import Row, Size

TODOS = 1_000_000
#: A page of the textbook, which has no pages, is asked for only so long as it ends.
TEXTBOOK_LIMIT = 10_000

_FILL_JOBS = """
from bench.expiry import fill
from jobs.ledger.database import Ledger
fill(Ledger("sqlite:////db/backend.db"), {rows})
"""
_FILL_TODOS = """
from jobs.ledger.database import Ledger
with Ledger("sqlite:////db/backend.db").writing() as connection:
    connection.exec_driver_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        " INSERT INTO todo (text, done, created_at) SELECT 'Water the plants, number ' || i, i % 2, 1e9 + i FROM n"
    )
"""


def lists(contestant: Contestant, size: Size) -> Row:
    """Ask for the newest jobs, among more and more of them: the median of some answers."""
    seconds = {}
    there = 0
    if contestant.name == "warren":
        contestant.stop("beat")  # it would remove the rows, which are old
    for rows in size.lists:
        if contestant.name == "textbook" and rows > TEXTBOOK_LIMIT:
            continue
        (_fill_warren if contestant.name == "warren" else _fill_textbook)(contestant, there, rows)
        there = rows
        seconds[str(rows)] = _median_seconds(contestant)
    return {"seconds": seconds}


def _median_seconds(contestant: Contestant) -> float:
    client = Client(contestant.address(), timeout=120)
    took: list[float] = []
    until = time.monotonic() + 5
    while len(took) < 3 or (time.monotonic() < until and len(took) < 50):
        began = time.monotonic()
        client.get("/flask/tasks")
        took.append(time.monotonic() - began)
    return statistics.median(took)


def _fill_warren(contestant: Contestant, there: int, rows: int) -> None:
    _python(contestant, _FILL_JOBS.format(rows=rows - there))


def _fill_textbook(contestant: Contestant, there: int, rows: int) -> None:
    with closing(sqlite3.connect(contestant.data / "results.db", timeout=60)) as database, database:
        database.executemany(
            "INSERT INTO celery_taskmeta (task_id, status, result) VALUES (?, 'SUCCESS', ?)",
            ((f"filled-{number}", pickle.dumps(5)) for number in range(there, rows)),
        )


def export(contestant: Contestant, size: Size) -> Row:
    """Export a million to-dos, and let the sqlite3 shell do the same; seconds, and memory beyond that at rest."""
    _python(contestant, _FILL_TODOS.format(rows=TODOS))
    client, memory = Client(contestant.address()), memory_reader(contestant, "worker")
    at_rest = most = memory()
    began = time.monotonic()
    task_id = client.submit("export", "{}")
    while not client.done(task_id):
        most = max(most, memory())
        time.sleep(0.02)
    seconds = time.monotonic() - began
    query = "SELECT id, text, done, strftime('%FT%TZ', created_at, 'unixepoch') FROM todo"
    command = (
        f"/usr/bin/time --format '%e %M' sqlite3 -readonly -header -csv /db/backend.db \"{query}\" 2>&1 >/dev/null"
    )
    shell = docker("run", "--rm", "--volume", f"{contestant.data}:/db", TOOLS, "sh", "-c", command).split()
    return {
        "seconds": seconds,
        "bytes": most - at_rest,
        "shell_seconds": float(shell[0]),
        "shell_bytes": int(shell[1]) * 1024,
    }


def _python(contestant: Contestant, code: str) -> None:
    """Run Python in a container that has Warren's code and its ledger."""
    docker(
        *("run", "--rm", "--network", "none", "--volume", f"{contestant.data}:/db"),
        *("--volume", f"{ROOT}/bench:/app/bench:ro", f"{contestant.prefix}_celery", "python", "-c", code),
    )
