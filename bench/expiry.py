"""Measures how long reads and writes wait while a million old jobs are removed, and while none are removed.

The load is like that of a running stack. Several writer processes take jobs from submission to result, with one
transaction for each move. One reader process asks what the lists, the backlog and the event feed ask. Phases with and
without expiry alternate (A B A B ...), so that a disk that becomes slow shows in both.
"""

import argparse
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from jobs.beat import scheduler
from jobs.commands.migrate import upgrade
from jobs.ledger import expiry, moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Outcome
from jobs.question import Question
from jobs.states import State

#: Rows in one transaction while the table is filled.
FILL = 20_000
#: The kinds of the ended jobs.
TYPES = ("heavy", "add", "divide", "text")

_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows),
     u(i, h) AS MATERIALIZED (SELECT i, lower(hex(randomblob(16))) FROM n)
INSERT INTO job (id, type, queue, params, state, created_at, published_at, started_at, ended_at, attempts, worker,
                 progress, result)
SELECT substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-4' || substr(h, 14, 3) || '-8' || substr(h, 18, 3) || '-'
           || substr(h, 21, 12),
       :type, 'heavy', '{"seconds": 1.5}', 'SUCCESS', :now + i * 1e-4, :now + i * 1e-4, :now + i * 1e-4,
       :now + i * 1e-4, 1, 'my_celery_container/0123abcd', 100, '"This task took 1.5 seconds."'
FROM u
"""


def fill(ledger: Ledger, rows: int) -> None:
    """Add rows of jobs that ended long ago. One in ten has an idempotency key, and one in a hundred has ten mails."""
    for done in range(0, rows, FILL):
        with ledger.writing(durable=False) as connection:
            values = {"rows": min(FILL, rows - done), "type": TYPES[done // FILL % len(TYPES)], "now": float(done)}
            connection.exec_driver_sql(_FILL, values)
    with ledger.writing() as connection:
        connection.exec_driver_sql(
            "INSERT OR IGNORE INTO mail"
            " SELECT job.id, value, 1 FROM job, json_each('[1,2,3,4,5,6,7,8,9,10]') WHERE seq % 100 = 0"
        )
        connection.exec_driver_sql(
            "INSERT OR IGNORE INTO idempotency"
            " SELECT 'key-' || id, hex(randomblob(32)), id, created_at FROM job WHERE seq % 10 = 0"
        )
    with ledger.reading() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def write(url: str, seconds: float, pause: float) -> list[float]:
    """Take jobs from submission to result for `seconds`. Return the seconds of each transaction, with its wait."""
    ledger = Ledger(url)
    waits: list[float] = []

    def timed(work: Callable[..., object], *arguments: object, durable: bool = True) -> None:
        began = time.monotonic()
        with ledger.writing(durable=durable) as connection:
            work(connection, *arguments)
        waits.append(time.monotonic() - began)
        time.sleep(random.uniform(0, 2 * pause))

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        new = NewJob(type="heavy", queue="heavy", params={"seconds": 1})
        timed(moves.add, new)
        timed(moves.mark_published, [new.due])
        timed(moves.claim, [new.id], "worker", durable=False)
        timed(moves.succeed, Outcome(job_id=new.id, attempt=1, result="This task took 1 second."))
    return waits


def read(url: str, seconds: float, pause: float) -> list[float]:
    """Ask what the web asks for `seconds`. Return the seconds that each answer took."""
    ledger = Ledger(url)
    waits = []
    questions: list[Callable[..., object]] = [
        lambda connection: queries.page(connection, limit=50),
        lambda connection: queries.page(connection, Question(states=(State.SUCCESS,)), limit=50),
        queries.backlog,
        lambda connection: queries.touched_since(connection, time.time() - 5, 501),
    ]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for question in questions:
            began = time.monotonic()
            with ledger.reading() as connection:
                question(connection)
            waits.append(time.monotonic() - began)
            time.sleep(random.uniform(0, 2 * pause))
    return waits


def phase(url: str, seconds: float, writers: int, pause: float, expiring: bool) -> tuple[list[float], list[float], int]:
    """Run the load for `seconds`. Return the waits of writers and reader, and how many old jobs were removed."""
    removed = 0
    with multiprocessing.get_context("spawn").Pool(writers + 1) as pool:
        writing = [pool.apply_async(write, (url, seconds, pause)) for _ in range(writers)]
        reading = pool.apply_async(read, (url, seconds, pause))
        ledger = Ledger(url)
        while not reading.ready():
            if expiring:
                removed += expiry.remove_old(ledger, time.time() - 86_400, scheduler.REMOVE_BUDGET)
            reading.wait(scheduler.TICK)
        ledger.dispose()
        return [wait for result in writing for wait in result.get()], reading.get(), removed


def row(name: str, waits: list[float]) -> str:
    """Return one line of the table, in milliseconds."""
    cuts = statistics.quantiles(waits, n=1000)
    return f"{name:<22}{len(waits):>8}{cuts[499] * 1e3:>8.1f}{cuts[989] * 1e3:>8.1f}{max(waits) * 1e3:>8.1f}"


def main() -> None:
    """Fill a ledger, then put it under load, in phases with and without expiry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writers", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.005)
    parser.add_argument("--folder", type=Path, default=Path())
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        file = Path(folder).resolve() / "backend.db"
        url = f"sqlite:///{file}"
        ledger = Ledger(url)
        upgrade(ledger)
        fill(ledger, chosen.rows)
        ledger.dispose()
        print(f"{chosen.rows} ended jobs, {file.stat().st_size / 1e6:.0f} MB\n")
        print(f"{'milliseconds':<22}{'asked':>8}{'median':>8}{'99 %':>8}{'longest':>8}{'removed/s':>12}{'WAL, MB':>9}")
        for number in range(2 * chosen.rounds):
            name = "with expiry" if number % 2 else "without"
            writes, reads, removed = phase(url, chosen.seconds, chosen.writers, chosen.pause, bool(number % 2))
            wal = file.with_name("backend.db-wal")
            size = wal.stat().st_size / 1e6 if wal.exists() else 0
            print(row(f"{name}: writers", writes) + f"{removed / chosen.seconds:>12.0f}{size:>9.1f}")
            print(row(f"{name}: readers", reads), flush=True)
        print(f"\n{file.stat().st_size / 1e6:.0f} MB at the end")


if __name__ == "__main__":
    main()
