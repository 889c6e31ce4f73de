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
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select, union_all

from jobs.ledger import queries, words
from jobs.ledger.records import Job
from jobs.ledger.schema import job, search_gap
from jobs.ledger.words import BLOCK, TEXT, job_words
from jobs.question import ANYTHING, WORD, Phrase, Question

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
    #: The page of older jobs is that of the jobs before this ``seq``; ``None`` if there is none.
    older: int | None
    #: The page of newer jobs is that of the jobs after this ``seq``; ``None`` if there is none.
    newer: int | None
    #: When the time was over before a page of older jobs was full: only jobs accepted since then were looked at.
    back_to: float | None = None


def page(
    connection: Connection,
    question: Question = ANYTHING,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    failure: str | None = None,
    budget: float | None = None,
) -> Found:
    """Return up to ``limit`` jobs that fit: the newest, or those before or after another page, given by its end.

    ``failure`` is the key of a group of failed jobs. After ``budget`` seconds, or :data:`BUDGET`, it makes no further
    step.
    """
    floor = _first_since(connection, question.since - DISORDER) if question.since is not None else 1
    top = before if before is not None else queries.newest_seq(connection) + 1
    if question.until is not None:
        top = min(top, _first_since(connection, question.until + DISORDER))
    back_to = None
    if question.phrases or question.queues or question.workers or question.ids:
        search = _Search(connection, question, floor, top, after, failure)
        jobs, onward, complete = search.look(limit, time.monotonic() + (BUDGET if budget is None else budget))
        # Where one comes from there were jobs. To look whether they fit would take as long again.
        backward = before is not None or after is not None
        if after is None and not complete and len(jobs) < limit and onward is not None:
            back_to = _accepted_at(connection, onward)
    else:
        look = partial(queries.page, connection, question, floor=floor, failure=failure)
        # One job more tells whether there is another page in that direction.
        some = look(limit=limit + 1, before=top, after=after)
        jobs = some[:limit] if after is None else some[-limit:]
        onward = None if len(some) <= limit else jobs[-1].seq if after is None else jobs[0].seq
        if after is not None:
            backward = bool(look(limit=1, before=jobs[-1].seq if jobs else after + 1))
        else:
            backward = before is not None and bool(look(limit=1, after=jobs[0].seq if jobs else before - 1))
    if after is not None:
        return Found(jobs=jobs, newer=onward, older=(jobs[-1].seq if jobs else after + 1) if backward else None)
    newer = (jobs[0].seq if jobs else top - 1) if backward else None
    return Found(jobs=jobs, older=onward, newer=newer, back_to=back_to)


def every(
    connection: Connection, question: Question, condition: ColumnElement[bool], budget: float = float("inf")
) -> list[int] | None:
    """Return the ``seq`` of all jobs that fit and meet a condition, in any order.

    ``None`` if that takes longer than ``budget`` seconds.
    """
    if not question.phrases:
        found = select(job.c.seq).where(condition, *_conditions(question, (), None))
        return list(connection.execute(found).scalars())
    floor = _first_since(connection, question.since - DISORDER) if question.since is not None else 1
    search = _Search(connection, question, floor, queries.newest_seq(connection) + 1, None, None, condition)
    return search.all(time.monotonic() + budget)


class _Search:
    """A search among the jobs from ``low`` on that come before ``high``: from the newest of them on, or upwards."""

    def __init__(
        self,
        connection: Connection,
        question: Question,
        floor: int,
        top: int,
        after: int | None,
        failure: str | None,
        *more: ColumnElement[bool],
    ) -> None:
        self._connection = connection
        self._question = question
        self._upwards = after is not None
        self._low = floor if after is None else max(floor, after + 1)
        self._high = max(top, self._low)
        self._ways = [_ways(phrase) for phrase in question.phrases]
        self._patterns = [_pattern(phrase, ways) for phrase, ways in zip(question.phrases, self._ways, strict=True)]
        conditions = _conditions(question, self._ways, failure)
        self._condition = and_(job.c.seq >= self._low, job.c.seq < self._high, *conditions, *more)

    def look(self, limit: int, deadline: float) -> tuple[list[Job], int | None, bool]:
        """Return a page, newest first; the ``seq`` after which the next one begins; and whether all was looked at."""
        found = self._with_ids()
        end = self._high if self._upwards else self._low
        reached = end
        if self._question.ids is None:
            for reached, rows in self._walk(limit + 1):
                found |= self._fitting(rows)
                if len(self._until(reached, found)) > limit or time.monotonic() > deadline:
                    break
        seqs = self._until(reached, found)
        jobs = queries.with_seqs(self._connection, seqs[:limit])
        if len(seqs) > limit:
            return jobs, seqs[limit - 1], False
        if reached != end:
            return jobs, reached - 1 if self._upwards else reached, False
        return jobs, None, True

    def all(self, deadline: float) -> list[int] | None:
        """Return the ``seq`` of all that fit; ``None`` if that takes until the deadline."""
        found = self._with_ids()
        if self._question.ids is None:
            for _, rows in self._walk(JOBS):
                found |= self._fitting(rows)
                if time.monotonic() > deadline:
                    return None
        return list(found)

    def _until(self, reached: int, found: set[int]) -> list[int]:
        """Return those that were passed on the way to ``reached``, in the order of the way."""
        passed = (seq for seq in found if (seq < reached if self._upwards else seq >= reached))
        return sorted(passed, reverse=not self._upwards)

    def _with_ids(self) -> set[int]:
        """Return those whose id begins as it is given, in a field or in a word."""
        begins = self._question.ids or [each.id_prefix for each in self._question.phrases if each.id_prefix]
        found: set[int] = set()
        for prefix in begins:
            some = select(*_LOOK).where(_id_begins(prefix), self._condition).order_by(job.c.id).limit(MOST_IDS)
            found |= self._fitting(self._connection.execute(some))
        return found

    def _walk(self, enough: int) -> Iterator[tuple[int, _Rows]]:
        """Yield jobs that may fit, and the ``seq`` up to which all have been looked at by then."""
        wanted = [*self._ways, *_labels(self._question)]
        indexed = min(max(words.end(self._connection), self._low), self._high) if wanted else self._low
        parts = [self._walk_blocks(wanted, self._low, indexed), self._walk_all(indexed, self._high, enough)]
        for part in parts if self._upwards else reversed(parts):
            yield from part

    def _walk_all(self, low: int, high: int, enough: int) -> Iterator[tuple[int, _Rows]]:
        """Look at one job after the other."""
        order = job.c.seq if self._upwards else job.c.seq.desc()
        while low < high:
            first, last = (low, min(low + JOBS, high)) if self._upwards else (max(high - JOBS, low), high)
            some = select(*_LOOK).where(job.c.seq >= first, job.c.seq < last, self._condition)
            rows = self._connection.execute(some.order_by(order).limit(enough)).all()
            full = len(rows) == enough
            if self._upwards:
                low = rows[-1].seq + 1 if full else last
            else:
                high = rows[-1].seq if full else first
            yield low if self._upwards else high, rows

    def _walk_blocks(self, wanted: Sequence[_Ways], low: int, high: int) -> Iterator[tuple[int, _Rows]]:
        """Look at blocks of the index that may have such jobs, and at those that are not in it."""
        first, last = low // BLOCK, (high - 1) // BLOCK
        count = FIRST_BLOCKS
        while low < high:
            rows = self._connection.execute(self._in_blocks(wanted, first, last, count)).all()
            blocks = {row.block for row in rows}
            if len(blocks) < count:
                low = high = high if self._upwards else low
            elif self._upwards:
                first = max(blocks) + 1
                low = min(first * BLOCK, high)
            else:
                last = min(blocks) - 1
                high = max((last + 1) * BLOCK, low)
            yield low if self._upwards else high, rows
            count = min(4 * count, MOST_BLOCKS)

    def _in_blocks(self, wanted: Sequence[_Ways], first: int, last: int, count: int) -> Select[Any]:
        """Return the question for the jobs that may fit in the next blocks, ``count`` of them if there are so many.

        Also a block in which no job fits has a row, so that it is known which blocks were looked at.
        """
        sources = (
            select(job_words.c.rowid.label("block")).where(
                words.matches(self._connection, wanted), job_words.c.rowid.between(first, last)
            ),
            select(search_gap.c.block).where(search_gap.c.block.between(first, last)),
        )
        both = union_all(
            *(select(self._nearest(each, each.selected_columns.block, count).subquery().c.block) for each in sources)
        ).subquery()
        blocks = self._nearest(select(both.c.block), both.c.block, count).subquery()
        in_block = job.c.seq.between(blocks.c.block * BLOCK, blocks.c.block * BLOCK + (BLOCK - 1))
        return select(blocks.c.block, *_LOOK).outerjoin_from(blocks, job, and_(in_block, self._condition))

    def _nearest(self, blocks: Select[Any], block: ColumnElement[int], count: int) -> Select[Any]:
        return blocks.order_by(block if self._upwards else block.desc()).limit(count)

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
