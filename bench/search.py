"""Measures how long a search among a million jobs takes, and what the index of their words costs."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import select

from jobs.commands.migrate import upgrade
from jobs.ledger import search, words
from jobs.ledger.database import Ledger
from jobs.ledger.schema import search_gap
from jobs.question import Question, read

#: Rows in one transaction while the table is filled.
FILL = 20_000
#: Seconds between two jobs: a million of them came in 28 hours.
APART = 0.1

#: Of a hundred jobs 40 are `heavy`, 30 `add`, 20 `text` and 10 `divide`, of which half have failed. A `text` has three
#: of 10,000 words, the smaller numbers more often.
_FILL = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last),
     u AS MATERIALIZED (
         SELECT i, i % 100 AS share, lower(hex(randomblob(16))) AS h, abs(random()) % 10000 AS w1,
                (abs(random()) % 10000) * (abs(random()) % 10000) / 10000 AS w2, abs(random()) % 100 AS w3
         FROM n
     )
INSERT INTO job (id, type, queue, params, state, created_at, published_at, started_at, ended_at, attempts, worker,
                 progress, result, error)
SELECT substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-4' || substr(h, 14, 3) || '-8' || substr(h, 18, 3) || '-'
           || substr(h, 21, 12),
       CASE WHEN share < 40 THEN 'heavy' WHEN share < 70 THEN 'add' WHEN share < 90 THEN 'text' ELSE 'divide' END,
       CASE WHEN share < 40 THEN 'heavy' ELSE 'arithmetic' END,
       CASE WHEN share < 40 THEN '{"seconds": 1.5}'
            WHEN share < 70 THEN '{"a": ' || w1 || ', "b": ' || w3 || '}'
            WHEN share < 90 THEN '{"text": "word' || w1 || ' word' || w2 || ' word' || w3 || '"}'
            ELSE '{"a": ' || w1 || ', "b": ' || (share % 2) || '}' END,
       CASE WHEN share >= 90 AND share % 2 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END,
       :now + i * :apart, :now + i * :apart, :now + i * :apart, :now + i * :apart + 1, 1,
       'my_celery_container/0123abcd', 100,
       CASE WHEN share < 40 THEN '"This task took 1.5 seconds."' WHEN share < 90 THEN w1 END,
       CASE WHEN share >= 90 AND share % 2 = 0 THEN 'ZeroDivisionError: division by zero' END
FROM u
"""

QUESTIONS = (
    "word7777",
    "word3",
    "nowhere",
    '"word17 word3"',
    "word17 word18",
    "kind:divide failed",
    'kind:divide failed since:1h "by zero"',
    'kind:export "by zero"',
    "kind:heavy word3",
    "failed since:1d until:20h",
    "abcd",
    "worker:another_container",
    "zer*",
)


def fill(ledger: Ledger, rows: int) -> None:
    """Add rows of jobs that ended, the newest a minute ago."""
    begin = time.time() - 60 - rows * APART
    for first in range(0, rows, FILL):
        with ledger.writing(durable=False) as connection:
            last = min(first + FILL, rows) - 1
            connection.exec_driver_sql(_FILL, {"first": first, "last": last, "now": begin, "apart": APART})
    settle(ledger)


def settle(ledger: Ledger) -> None:
    """Bring all that was written into the ledger's file."""
    with ledger.reading() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def index(ledger: Ledger) -> float:
    """Index the jobs, and return the seconds of processor time that it took."""
    began, after = time.process_time(), -1
    while True:
        after = words.fill(ledger, 10, after)
        with ledger.reading() as connection:
            # The last block is left open, for more jobs may come.
            if after == -1 and len(connection.execute(select(search_gap.c.block)).all()) <= 1:
                break
    settle(ledger)
    return time.process_time() - began


def ask(ledger: Ledger, question: Question) -> tuple[float, search.Found]:
    """Return how many seconds a page of jobs took, and the page."""
    began = time.perf_counter()
    with ledger.reading() as connection:
        found = search.page(connection, question, limit=50)
    return time.perf_counter() - began, found


def main() -> None:
    """Fill a ledger, index it, and ask each question again and again, all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--folder", type=Path, default=Path())
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        file = Path(folder).resolve() / "backend.db"
        ledger = Ledger(f"sqlite:///{file}")
        ledger.create()
        upgrade(ledger)
        fill(ledger, chosen.rows)
        size = file.stat().st_size
        took = index(ledger)
        print(f"{chosen.rows} ended jobs, {size / 1e6:.0f} MB; with the index {file.stat().st_size / 1e6:.0f} MB")
        print(f"indexing took {took / chosen.rows * 1e6:.1f} us of processor time a job\n")
        print(f"{'milliseconds':<42}{'median':>8}{'longest':>9}{'jobs':>6}  whole ledger")
        answers = {text: [] for text in QUESTIONS}  # type: dict[str, list[float]]
        pages = {}
        for _ in range(chosen.rounds):
            for text in QUESTIONS:
                seconds, pages[text] = ask(ledger, read(text))
                answers[text].append(seconds)
        for text, times in answers.items():
            page = pages[text]
            whole = "yes" if page.back_to is None else "stopped by its limit"
            print(
                f"{text:<42}{statistics.median(times) * 1e3:>8.1f}{max(times) * 1e3:>9.1f}{len(page.jobs):>6}  {whole}"
            )
        ledger.dispose()


if __name__ == "__main__":
    main()
