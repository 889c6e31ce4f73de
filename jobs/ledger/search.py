"""Jobs that fit a :class:`jobs.question.Question`, newest first.

The index of words (:mod:`jobs.ledger.words`) tells which blocks of jobs can have one that fits, and the jobs of these
are read. So are all jobs that are not indexed. The search goes back from the newest job, a part at a time, and stops
when the page is full or its time is over. Then it says how far it has come, and the next page goes on from there.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, union_all

from jobs.ledger import queries, words
from jobs.ledger.records import Job
from jobs.ledger.schema import job, search_gap
from jobs.ledger.words import BLOCK, TEXT, job_words
from jobs.question import WORD, Phrase, Question

#: Seconds that a search looks for more.
BUDGET = 0.12
#: Jobs that are looked at in one step, where there is no index; blocks, at first and at most, where there is one.
JOBS, FIRST_BLOCKS, MOST_BLOCKS = 2048, 16, 256
#: Jobs that are looked at for the beginning of an id.
MOST_IDS = 1000
#: Jobs are accepted in the order of their ``seq``, give or take so many seconds.
DISORDER = 60.0

#: Words that stand beside each other, in each of the ways in which they may be written.
_Ways = Sequence[tuple[str, ...]]
#: A job that was looked at: its ``seq``, ``id`` and ``text``.
_Rows = Iterable[Row[Any]]
_LOOK = (job.c.seq, job.c.id, TEXT.label("text"))


@dataclass(frozen=True, kw_only=True)
class Found:
    """A page of jobs."""

    #: Newest first.
    jobs: list[Job]
    #: The next page is that of the jobs before this ``seq``; ``None`` if this is the last one.
    before: int | None
    #: When the time was over before the page was full: only jobs accepted since then were looked at.
    back_to: float | None = None


def page(
    connection: Connection,
    question: Question,
    *,
    limit: int,
    before: int | None = None,
    failure: str | None = None,
    budget: float = BUDGET,
) -> Found:
    """Return up to ``limit`` jobs that fit; ``before`` is that of the page before.

    ``failure`` is the key of a group of failed jobs. After ``budget`` seconds no further step is made.
    """
    floor = _first_since(connection, question.since - DISORDER) if question.since is not None else 1
    if question.until is not None:
        last = _first_since(connection, question.until + DISORDER)
        before = min(before, last) if before is not None else last
    if not (question.phrases or question.queues or question.workers or question.ids):
        newest = queries.page(connection, question, limit=limit + 1, before=before, floor=floor, failure=failure)
        return Found(jobs=newest[:limit], before=newest[limit - 1].seq if len(newest) > limit else None)
    before = before if before is not None else queries.newest_seq(connection) + 1
    search = _Search(connection, question, floor, before, failure)
    return search.page(limit, time.monotonic() + budget)


class _Search:
    """A search among the jobs from ``floor`` on that come before ``before``."""

    def __init__(
        self, connection: Connection, question: Question, floor: int, before: int, failure: str | None
    ) -> None:
        self._connection = connection
        self._question = question
        self._floor = floor
        self._before = before
        self._ways = [_ways(phrase) for phrase in question.phrases]
        self._patterns = [_pattern(phrase, ways) for phrase, ways in zip(question.phrases, self._ways, strict=True)]
        self._condition = and_(job.c.seq >= floor, job.c.seq < before, *_conditions(question, self._ways, failure))

    def page(self, limit: int, deadline: float) -> Found:
        """Return a page."""
        found = self._with_ids()
        back_to = self._floor
        if self._question.ids is None:
            for back_to, rows in self._walk(limit + 1):
                found |= self._fitting(rows)
                full = sum(seq >= back_to for seq in found) > limit
                if full or time.monotonic() > deadline:
                    break
        seqs = sorted((seq for seq in found if seq >= back_to), reverse=True)
        jobs = queries.with_seqs(self._connection, seqs[:limit])
        if len(seqs) > limit:
            return Found(jobs=jobs, before=seqs[limit - 1])
        if back_to > self._floor:
            return Found(jobs=jobs, before=back_to, back_to=_accepted_at(self._connection, back_to))
        return Found(jobs=jobs, before=None)

    def _with_ids(self) -> set[int]:
        """Return those whose id begins as it is given, in a field or in a word."""
        begins = self._question.ids or [each.id_prefix for each in self._question.phrases if each.id_prefix]
        found: set[int] = set()
        for prefix in begins:
            some = select(*_LOOK).where(_id_begins(prefix), self._condition).order_by(job.c.id).limit(MOST_IDS)
            found |= self._fitting(self._connection.execute(some))
        return found

    def _walk(self, enough: int) -> Iterator[tuple[int, _Rows]]:
        """Yield jobs that may fit, and the ``seq`` from which on all have been looked at by then."""
        wanted = [*self._ways, *_labels(self._question)]
        indexed = min(max(words.end(self._connection), self._floor), self._before) if wanted else self._floor
        yield from self._walk_all(indexed, enough)
        if indexed > self._floor:
            yield from self._walk_blocks(wanted, indexed)

    def _walk_all(self, start: int, enough: int) -> Iterator[tuple[int, _Rows]]:
        """Look at one job after the other."""
        top = self._before
        while top > start:
            low = max(start, top - JOBS)
            some = select(*_LOOK).where(job.c.seq >= low, job.c.seq < top, self._condition)
            rows = self._connection.execute(some.order_by(job.c.seq.desc()).limit(enough)).all()
            top = rows[-1].seq if len(rows) == enough else low
            yield top, rows

    def _walk_blocks(self, wanted: Sequence[_Ways], end: int) -> Iterator[tuple[int, _Rows]]:
        """Look at blocks of the index that may have such jobs, and at those that are not in it."""
        top = -(-end // BLOCK)
        count = FIRST_BLOCKS
        while True:
            of_index = select(job_words.c.rowid.label("block")).where(
                words.matches(self._connection, wanted),
                job_words.c.rowid < top,
                job_words.c.rowid >= self._floor // BLOCK,
            )
            others = select(search_gap.c.block).where(search_gap.c.block < top)
            both = union_all(
                *(
                    select(each.order_by(each.selected_columns.block.desc()).limit(count).subquery().c.block)
                    for each in (of_index, others)
                )
            ).subquery()
            blocks = select(both.c.block).order_by(both.c.block.desc()).limit(count).subquery()
            in_block = job.c.seq.between(blocks.c.block * BLOCK, blocks.c.block * BLOCK + (BLOCK - 1))
            # Also a block of which no job fits has a row, so that it is known which were looked at.
            some = select(blocks.c.block, *_LOOK).outerjoin_from(blocks, job, and_(in_block, self._condition))
            rows = self._connection.execute(some).all()
            looked_at = {row.block for row in rows}
            if len(looked_at) < count:
                yield self._floor, rows
                return
            top = min(looked_at)
            yield max(top * BLOCK, self._floor), rows
            count = min(4 * count, MOST_BLOCKS)

    def _fitting(self, rows: _Rows) -> set[int]:
        return {row.seq for row in rows if row.seq is not None and all(fits(row) for fits in self._patterns)}


def _conditions(question: Question, ways: Sequence[_Ways], failure: str | None) -> Iterator[ColumnElement[bool]]:
    """Yield what the database can check of a job; of the words, that they are anywhere in its text."""
    yield from queries.conditions(question)
    if question.queues is not None:
        yield job.c.queue.in_(question.queues)
    if question.workers is not None:
        yield or_(*(job.c.worker.startswith(f"{name}/", autoescape=True) for name in question.workers))
    if question.ids is not None:
        yield or_(*(_id_begins(prefix) for prefix in question.ids))
    if failure is not None:
        yield job.c.failure == failure
    for phrase, different in zip(question.phrases, ways, strict=True):
        if len(different) == 1:  # other letters than English ones are compared by Python
            in_text = and_(*(TEXT.icontains(word) for word in phrase.words))
            yield or_(in_text, _id_begins(phrase.id_prefix)) if phrase.id_prefix else in_text


def _labels(question: Question) -> Iterator[_Ways]:
    """Yield what the index has of a job besides its text."""
    if question.states is not None:
        yield [(f"state{state}",) for state in question.states]
    if question.kinds is not None:
        yield [tuple(WORD.findall(f"kind{kind}")) for kind in question.kinds]
    if question.workers is not None:
        yield [tuple(WORD.findall(name)) for name in question.workers]


def _ways(phrase: Phrase) -> _Ways:
    """Return the words of a phrase, in each of the ways in which they may be written.

    JSON has codes for other letters than English ones, such as ``\\u00fc``, and others for capital ones.
    """
    ways = {phrase.words}
    text = " ".join(phrase.words)
    if not text.isascii():
        forms = (text, text.lower(), text.upper(), text.title(), text.capitalize())
        ways |= {tuple(WORD.findall(json.dumps(form))) for form in forms}
    if phrase.open_end:
        ways = {(*way[:-1], f"{way[-1]}*") for way in ways}
    return sorted(ways)


def _pattern(phrase: Phrase, ways: _Ways) -> Callable[[Row[Any]], bool]:
    """Return what tells whether a phrase is in a job: the words of one of its ways, in this order."""
    alone = (
        r"[\W_]+".join(rf"{word[:-1]}" if word.endswith("*") else rf"{word}(?![^\W_])" for word in way) for way in ways
    )
    pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(alone)})", re.IGNORECASE)

    def fits(row: Row[Any]) -> bool:
        begins = phrase.id_prefix is not None and row.id.startswith(phrase.id_prefix)
        return begins or pattern.search(row.text) is not None

    return fits


def _id_begins(prefix: str) -> ColumnElement[bool]:
    # A range, because SQLite's LIKE ignores case and so cannot use the index.
    return and_(job.c.id >= prefix, job.c.id < prefix + "z" * 36)


def _first_since(connection: Connection, moment: float) -> int:
    """Return the ``seq`` of the first job accepted at that time or later, by halves; or the one after the newest."""
    low, high = 1, queries.newest_seq(connection) + 1
    look = select(job.c.seq, job.c.created_at).order_by(job.c.seq).limit(1)
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(look.where(job.c.seq >= middle)).first()
        if row is not None and row.created_at < moment:
            low = row.seq + 1
        else:
            high = middle
    return low


def _accepted_at(connection: Connection, seq: int) -> float | None:
    """Return when the first job from this ``seq`` on was accepted."""
    statement = select(job.c.created_at).where(job.c.seq >= seq).order_by(job.c.seq).limit(1)
    return connection.execute(statement).scalar()
