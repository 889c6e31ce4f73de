"""The index of the words of jobs, for :mod:`jobs.ledger.search`: SQLite's FTS5, and a ``tsvector`` on PostgreSQL.

It costs running jobs next to nothing, for three reasons. An entry is for a *block* of :data:`BLOCK` jobs in order of
acceptance, and says only which words are somewhere in it. A block is indexed once, when all of its jobs have ended and
so do not change any more. And the database does it by itself: no text of a job passes through Python.

The blocks that are not indexed are known, in ``search_gap``: the search reads their jobs themselves. So it finds all
jobs at any moment, however far the index is.
"""

import time
from collections.abc import Collection, Sequence
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Text,
    bindparam,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
)

from jobs.ledger import queries
from jobs.ledger.database import Ledger
from jobs.ledger.schema import job, search_gap

#: Jobs in a block. Larger ones make the index smaller; but one job that waits for long keeps its block out of it.
BLOCK = 16
#: Characters of the parameters, of the result and of the error that are looked at.
READ = 4000
#: Blocks that are looked at in one step: some 10 ms, if all of them are indexed.
CHUNK = 128
#: Seconds that jobs are left alone before their block is looked at: most of them run.
SETTLE = 10.0

#: The index. It is not in the schema's metadata, because it is another thing in each database.
job_words = table("job_words", column("rowid"), column("words"))

_BLOCK_OF = job.c.seq // literal_column(str(BLOCK))
_IN_BLOCK = job.c.seq.between(search_gap.c.block * BLOCK, search_gap.c.block * BLOCK + (BLOCK - 1))


def _start(part: ColumnElement[str]) -> ColumnElement[str]:
    # In JSON a new line is a backslash and an "n", which would become the first letter of the next word.
    return func.coalesce(func.replace(func.substr(part, 1, READ), "\\n", " "), "")


#: The text of a job.
TEXT: ColumnElement[str] = func.concat_ws(
    " ", _start(cast(job.c.params, Text)), _start(cast(job.c.result, Text)), _start(job.c.error)
)
#: With what else is looked for: see :func:`labels`.
_TEXT_AND_LABELS = func.concat_ws(
    " ", TEXT, literal("kind").concat(job.c.type), literal("state").concat(job.c.state), job.c.worker
)


def fill(ledger: Ledger, budget: float, after: int = -1) -> int:
    """Index blocks for about ``budget`` seconds; return the block after which the next call goes on.

    Each step is a short transaction, and the pause after it is as long. It need not be durable: what a power cut undoes
    is done again.
    """
    until = time.monotonic() + budget
    while True:
        began = time.monotonic()
        with ledger.reading() as connection:
            new = _new_blocks(connection)
            known = _gaps_after(connection, after)
            ready = _ended(connection, known)
        if new or ready:
            with ledger.writing(durable=False) as connection:
                if new:
                    connection.execute(insert(search_gap), [{"block": block} for block in new])
                if ready:
                    connection.execute(_index(connection.dialect.name), {"ready": ready})
                    connection.execute(delete(search_gap).where(search_gap.c.block.in_(ready)))
        after = known[-1] if len(known) == CHUNK else -1
        now = time.monotonic()
        if now > until or not (new or after >= 0):
            return after
        time.sleep(now - began)


def remove(connection: Connection, seqs: Collection[int]) -> None:
    """Remove the blocks of jobs that have just been removed, as far as no job of them is left."""
    blocks = {seq // BLOCK for seq in seqs}
    others = {block * BLOCK + place for block in blocks for place in range(BLOCK)}.difference(seqs)
    left = connection.execute(select(job.c.seq).where(job.c.seq.in_(others))).scalars()
    empty = blocks.difference(seq // BLOCK for seq in left)
    if empty:
        connection.execute(delete(job_words).where(job_words.c.rowid.in_(empty)))


def begin_anew(connection: Connection) -> None:
    """Forget all words, and note all blocks as not indexed, in a ledger that has got its jobs just now."""
    connection.execute(delete(job_words))
    connection.execute(insert(search_gap).from_select([search_gap.c.block], select(_BLOCK_OF).distinct()))


def matches(connection: Connection, wanted: Sequence[Sequence[tuple[str, ...]]]) -> ColumnElement[bool]:
    """Return the condition that a block has, of each of ``wanted``, all the words of one of its ways.

    A word with a ``*`` at its end may go on.
    """
    if connection.dialect.name == "sqlite":
        every, some, found = " AND ", " OR ", literal_column("job_words").op("MATCH", is_comparison=True)
    else:
        every, some, found = " & ", " | ", job_words.c.words.op("@@", is_comparison=True)
    term = _sqlite_term if connection.dialect.name == "sqlite" else _postgresql_term
    text = every.join(f"({some.join(f'({every.join(map(term, way))})' for way in ways)})" for ways in wanted)
    return found(text if connection.dialect.name == "sqlite" else func.to_tsquery("simple", text))


def _sqlite_term(word: str) -> str:
    return f'"{word[:-1]}"*' if word.endswith("*") else f'"{word}"'


def _postgresql_term(word: str) -> str:
    return f"'{word[:-1]}':*" if word.endswith("*") else f"'{word}'"


def end(connection: Connection) -> int:
    """Return the first ``seq`` from which on no job is indexed."""
    return (connection.execute(select(func.max(search_gap.c.block))).scalar() or 0) * BLOCK


def _new_blocks(connection: Connection) -> Sequence[int]:
    """Return blocks that are not noted yet as not being indexed."""
    last = queries.last_before(connection, time.time() - SETTLE)
    seen = connection.execute(select(func.max(search_gap.c.block))).scalar()
    unseen = job.c.seq >= (seen + 1) * BLOCK if seen is not None else job.c.seq >= 0
    first = connection.execute(select(func.min(job.c.seq)).where(unseen, job.c.seq <= last)).scalar()
    if first is None:
        return []
    some = job.c.seq.between(first, min(first + CHUNK * BLOCK, last))
    return connection.execute(select(_BLOCK_OF).distinct().where(some)).scalars().all()


def _gaps_after(connection: Connection, after: int) -> Sequence[int]:
    """Return the next blocks that are not indexed, but not the last one: its jobs are still coming."""
    last = select(func.max(search_gap.c.block)).scalar_subquery()
    gaps = select(search_gap.c.block).where(search_gap.c.block > after, search_gap.c.block < last)
    return connection.execute(gaps.order_by(search_gap.c.block).limit(CHUNK)).scalars().all()


def _ended(connection: Connection, blocks: Sequence[int]) -> Sequence[int]:
    """Return those of the blocks whose jobs have all ended, or are gone."""
    waits = exists().where(_IN_BLOCK, job.c.ended_at.is_(None))
    return connection.execute(select(search_gap.c.block).where(search_gap.c.block.in_(blocks), ~waits)).scalars().all()


@cache
def _index(dialect: str) -> Insert:
    """Return the statement that indexes the blocks ``ready``."""
    if dialect == "sqlite":
        words = func.group_concat(_TEXT_AND_LABELS, " ")
    else:
        text = func.string_agg(_TEXT_AND_LABELS, " ")
        words = func.to_tsvector("simple", func.regexp_replace(text, "[^[:alnum:]]+", " ", "g"))
    blocks = (
        select(search_gap.c.block, words)
        .join(job, _IN_BLOCK)
        .where(search_gap.c.block.in_(bindparam("ready", expanding=True)))
        .group_by(search_gap.c.block)
    )
    return insert(job_words).from_select(["rowid", "words"], blocks)
