"""The search: it finds every job that fits and no other, however much of the ledger is indexed."""

import random
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from jobs.ledger import moves, queries, search, words
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Outcome
from jobs.ledger.schema import job as job_table
from jobs.ledger.schema import search_gap
from jobs.question import read

WORKER = "worker-1/0a1b2c3d"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "SETTLE", 0)
    monkeypatch.setattr(words, "CHUNK", 2)
    monkeypatch.setattr(search, "JOBS", 7)
    monkeypatch.setattr(search, "FIRST_BLOCKS", 1)
    monkeypatch.setattr(search, "MOST_BLOCKS", 3)


def add(ledger: Ledger, text: str = "", **more: object) -> str:
    values = {"type": "text", "queue": "arithmetic", "params": {"text": text}} | more
    new = NewJob(**values)  # type: ignore[arg-type]
    with ledger.writing(durable=False) as connection:
        moves.add(connection, new)
    return new.id


def end(ledger: Ledger, job_id: str, result: object = None, error: str | None = None) -> None:
    with ledger.writing(durable=False) as connection:
        moves.claim(connection, [job_id], WORKER)
        if error is None:
            moves.succeed(connection, Outcome(job_id=job_id, attempt=1, result=result))
        else:
            moves.fail(connection, job_id, error, attempt=1)


def cancel(ledger: Ledger, *job_ids: str) -> None:
    with ledger.writing(durable=False) as connection:
        for job_id in job_ids:
            moves.cancel(connection, job_id)


def pages(ledger: Ledger, text: str, limit: int, budget: float) -> Iterator[search.Found]:
    before = None
    while True:
        with ledger.reading() as connection:
            found = search.page(connection, read(text), limit=limit, before=before, budget=budget)
        yield found
        if found.older is None:
            return
        assert before is None or found.older < before, "each page comes nearer to the end"
        before = found.older


def upwards(ledger: Ledger, text: str, limit: int, budget: float) -> list[str]:
    """Return what the pages of newer jobs have, newest first, from before the first job on."""
    after: int | None = 0
    ids: list[str] = []
    while after is not None:
        with ledger.reading() as connection:
            found = search.page(connection, read(text), limit=limit, after=after, budget=budget)
        ids = [job.id for job in found.jobs] + ids
        assert found.newer is None or found.newer > after, "each page comes nearer to the end"
        after = found.newer
    return ids


def ask(ledger: Ledger, text: str, limit: int = 100, budget: float = 60) -> list[str]:
    return [job.id for found in pages(ledger, text, limit, budget) for job in found.jobs]


def gaps(ledger: Ledger) -> list[int]:
    with ledger.reading() as connection:
        return list(connection.execute(select(search_gap.c.block).order_by(search_gap.c.block)).scalars())


def indexed(ledger: Ledger) -> int:
    with ledger.reading() as connection:
        table = "job_words_docsize" if connection.dialect.name == "sqlite" else "job_words"
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def fill(ledger: Ledger) -> None:
    assert words.fill(ledger, budget=60) == -1


@pytest.mark.parametrize("filled", [False, True], ids=["by_reading", "by_the_index"])
def test_words_are_found_where_they_are(ledger: Ledger, filled: bool) -> None:
    first = add(ledger, "Order 48213 of blue_whales\nfor Zürich, GRÖSSE 7")
    end(ledger, first, result={"count": 12, "path": "/exports/x.csv"})
    second = add(ledger, "red", type="divide")
    end(ledger, second, error="Division by zero: b must not be 0, König.")
    rest = [add(ledger, "filler") for _ in range(3 * words.BLOCK)]
    cancel(ledger, *rest)
    if filled:
        fill(ledger)
        assert indexed(ledger) == 3
    for text, found in {
        "48213": [first],
        "ORDER": [first],
        "4821": [],
        "4821*": [first],
        "whales": [first],
        '"blue whales"': [first],
        '"whales blue"': [],
        "whales blue": [first],
        "for": [first],
        "zürich": [first],
        "ZÜRICH": [first],
        "größe": [first],
        "grösse": [first],
        '"count: 12"': [first],
        "exports/x.csv": [first],
        '"by zero"': [second],
        "könig": [second],
        "KÖNIG": [second],
        "kön*": [second],
        'failed "by zero"': [second],
        "cancelled zero": [],
        "kind:divide zero": [second],
        "kind:text zero": [],
        "queue:heavy zero": [],
        "worker:worker-1": [second, first],
        "worker:worker": [],
        first[:8]: [first],
        first.upper(): [first],
        f"id:{first[:13]}": [first],
        f"id:{first[:13]} failed": [],
        f"{first} order": [first],
        f"{first} red": [],
        "since:1h order": [first],
        "until:1h order": [],
        "since:2036-01-01": [],
        "kind:divide": [second],
        "filler": rest[::-1],
        "queue:arithmetic filler": rest[::-1],
        "": [*rest[::-1], second, first],
    }.items():
        assert ask(ledger, text) == found, text


def test_a_job_is_found_by_what_it_is_now(ledger: Ledger) -> None:
    ids = [add(ledger, f"number {number}") for number in range(2 * words.BLOCK)]
    fill(ledger)
    assert indexed(ledger) == 0, "none of them has ended"
    assert ask(ledger, "waiting number") == ids[::-1]
    end(ledger, ids[3], error="Broken.")
    fill(ledger)
    assert ask(ledger, "broken") == [ids[3]]
    cancel(ledger, *ids)
    fill(ledger)
    assert indexed(ledger) == 2, "but not the block that is not full"
    assert ask(ledger, "broken") == [ids[3]]
    assert ask(ledger, "waiting number") == []


def test_every_job_is_found_once_on_pages_of_any_size_and_however_early_a_search_is_stopped(ledger: Ledger) -> None:
    chance = random.Random(7)
    vocabulary = ["red", "green", "blue", "12", "a1b2"]
    texts: dict[str, str] = {}
    failed: set[str] = set()
    for number in range(9 * words.BLOCK):
        text = " ".join(chance.sample(vocabulary, 2))
        job_id = add(ledger, text)
        texts[job_id] = text
        what = chance.random()
        if what < 0.5:
            end(ledger, job_id, result=text)
        elif what < 0.9:
            end(ledger, job_id, error=f"Not {text}.")
            failed.add(job_id)
        if number == 5 * words.BLOCK:
            fill(ledger)
    everything = list(texts)[::-1]
    for budget in (0, 60):
        for limit in (1, 3, 500):
            for word in ("red", "12", "a1b2"):
                here = [each for each in everything if word in texts[each].split()]
                assert ask(ledger, word, limit, budget) == here
                assert upwards(ledger, word, limit, budget) == here
                assert ask(ledger, f"failed {word}", limit, budget) == [each for each in here if each in failed]
            assert ask(ledger, "nowhere", limit, budget) == []


def test_a_search_that_was_stopped_says_how_far_it_has_looked(ledger: Ledger) -> None:
    ids = [add(ledger, "here" if number == 0 else "x") for number in range(30)]
    first, *others = pages(ledger, "here", limit=1, budget=0)
    assert first.jobs == []
    with ledger.reading() as connection:
        by_time = connection.execute(select(job_table.c.created_at).order_by(job_table.c.seq)).scalars().all()
    assert first.back_to == by_time[-search.JOBS]
    assert [job.id for found in others for job in found.jobs] == ids[:1]
    assert others[-1].back_to is None


def test_the_times_of_acceptance_are_found_by_halves(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "DISORDER", 0)
    ids = [add(ledger, created_at=1000.0 + number, run_at=1.0) for number in range(50)]
    with ledger.reading() as connection:
        for moment in (0, 1000, 1000.5, 1017, 1049, 1050, 1e12):
            first = search._first_since(connection, moment)
            rows = connection.execute(select(job_table.c.id).where(job_table.c.seq >= first)).scalars().all()
            assert set(rows) == {each for number, each in enumerate(ids) if 1000 + number >= moment}
    assert ask(ledger, "since:1970-01-01T00:17:20 until:1970-01-01T00:17:22") == [ids[41], ids[40]]


def test_what_expires_leaves_the_index(ledger: Ledger) -> None:
    ids = [add(ledger, "gone") for _ in range(3 * words.BLOCK)]
    cancel(ledger, *ids)
    fill(ledger)
    assert indexed(ledger) == 3
    with ledger.writing(durable=False) as connection:
        moves.expire(connection, time.time() + 1, words.BLOCK + 3)
    assert indexed(ledger) == 2
    assert ask(ledger, "gone") == ids[: words.BLOCK + 2 : -1]
    with ledger.writing(durable=False) as connection:
        moves.expire(connection, time.time() + 1, 100)
    assert (indexed(ledger), ask(ledger, "gone")) == (0, [])
    later = add(ledger, "gone")
    fill(ledger)
    assert ask(ledger, "gone") == [later]
    assert len(gaps(ledger)) == 1, "blocks without jobs are not kept in mind"


def test_indexing_goes_on_where_it_stopped(ledger: Ledger) -> None:
    cancel(ledger, *[add(ledger, "word") for _ in range(6 * words.BLOCK)])
    after, rounds = words.fill(ledger, budget=0), 1
    while indexed(ledger) < 5:
        after = words.fill(ledger, 0, after)
        rounds += 1
        assert rounds < 20
    assert rounds > 2
    assert len(ask(ledger, "word")) == 6 * words.BLOCK


def test_jobs_that_have_just_come_are_left_alone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "SETTLE", 60)
    ids = [add(ledger, "word") for _ in range(2 * words.BLOCK)]
    cancel(ledger, *ids)
    fill(ledger)
    assert gaps(ledger) == []
    assert ask(ledger, "word") == ids[::-1]


def test_long_texts_are_read_to_a_limit(ledger: Ledger) -> None:
    job_id = add(ledger, "early " + "x " * words.READ + "late")
    end(ledger, job_id, result="y" * 100_000)
    for _ in range(2):
        assert (ask(ledger, "early"), ask(ledger, "late")) == ([job_id], [])
        cancel(ledger, *[add(ledger) for _ in range(words.BLOCK)])
        fill(ledger)
    with ledger.reading() as connection:
        assert queries.newest_seq(connection) > words.end(connection) > 0
