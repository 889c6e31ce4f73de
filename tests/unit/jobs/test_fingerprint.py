"""Sentences of like failures have one pattern, and others do not."""

import re
import string
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.fingerprint import LONGEST, fingerprint, pattern


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Division by zero: b must not be 0.", "Division by zero: b must not be N."),
        ("The quotient of -1e+300 and 1.5e-20 is too large.", "The quotient of N and N is too large."),
        ("KeyError: 'a name\\nthat is missing'", "KeyError: '…'"),
        ('FileNotFoundError: "it\'s gone"', 'FileNotFoundError: "…"'),
        ("It can't be read, it isn't there.", "It can't be read, it isn't there."),
        ("Can't open file 'x y.csv' now.", "Can't open file '…' now."),
        ("[Errno 2] No such file or directory: '/tmp/a b/c.csv'", "[Errno N] No such file or directory: '…'"),
        ("Cannot write /srv/exports/7/a.csv.", "Cannot write PATH."),
        ("Cannot write ./a.csv, ../b or ~/c", "Cannot write PATH, PATH or PATH"),
        (r"Cannot write C:\Temp\x.csv.", "Cannot write PATH."),
        ("Choose and/or leave n/a.", "Choose and/or leave n/a."),
        ("The server smtp://u:p@mail.example:25/x is away.", "The server URL is away."),
        ("See (https://example.com/a?b=1).", "See (URL)."),
        ("ann+x@mail.example.com was refused.", "MAIL was refused."),
        ("Job 7ddf6c1a-5b7e-4f83-a3ed-8a5b3c9f62b6 is gone.", "Job ID is gone."),
        ("<Lock object at 0x7f3a12bc>", "<Lock object at ID>"),
        ("Commit 3f2a99bc01 is not there, deadbeef is.", "Commit ID is not there, deadbeef is."),
        ("It ran from 2026-03-01T12:00:00.104512+00:00 on.", "It ran from N-N-NTN+N on."),
        ("1,234.5 of 2,000 rows, row17", "N of N rows, rowN"),
        ("Stopped: it ran longer than its limit of 2 seconds.", "Stopped: it ran longer than its limit of N seconds."),
        ("  two \n lines ", "two lines"),
        ("", ""),
    ],
)
def test_variable_parts_become_placeholders(sentence: str, expected: str) -> None:
    assert pattern(sentence) == expected


WORDS = st.text(string.ascii_lowercase + " ", max_size=20)
#: Parts that differ from failure to failure, each with its kind.
VARIABLE = st.sampled_from(
    [
        st.integers().map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:.3f}"),
        st.uuids().map(str),
        st.integers(0, 2**64).map(hex),
        st.text(string.ascii_letters + string.digits + " .-/", max_size=30).map(lambda text: f"'{text}'"),
        st.from_regex(r"/(?:[a-z0-9_-]{1,9}/){0,3}[a-z0-9_-]{1,9}", fullmatch=True),
        st.from_regex(r"[a-z0-9.+-]{1,20}@[a-z0-9-]{1,9}\.[a-z]{2,3}", fullmatch=True),
    ]
)


@given(before=WORDS, after=WORDS, data=st.data())
def test_sentences_that_differ_in_a_variable_part_are_alike(before: str, after: str, data: st.DataObject) -> None:
    part = data.draw(VARIABLE)
    one, other = (f"{before} {data.draw(part)} {after}" for _ in range(2))
    assert pattern(one) == pattern(other)
    assert fingerprint("heavy", one) == fingerprint("heavy", other)


@given(st.text(max_size=3000))
def test_a_pattern_is_short_and_has_no_figures(sentence: str) -> None:
    found = pattern(sentence)
    assert len(found) <= LONGEST
    assert not re.search(r"\d", found)
    assert re.fullmatch("[0-9a-f]{16}", fingerprint("heavy", sentence).key)


@given(st.lists(st.sampled_from(["the", "disk", "is", "full", "cannot", "be", "read,"]), max_size=30))
def test_a_sentence_without_variable_parts_stays_but_for_its_length(words: list[str]) -> None:
    sentence = " ".join(words)
    assert pattern(sentence) == (sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…")


def test_other_kinds_and_other_words_are_other_groups() -> None:
    keys = [fingerprint(*failure).key for failure in (("a", "Gone."), ("b", "Gone."), ("a", "Gone!"))]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("piece", ["'", "a@", "/a", "\\", "a1", "0x", "http://", "1.", "a", "f0-", "'\\", "a.", "1e"])
def test_no_sentence_takes_long(piece: str) -> None:
    began = time.process_time()
    pattern(piece * 100_000)
    pattern(f"{uuid.uuid4()}{piece}" * 10_000)
    assert time.process_time() - began < 0.5
