"""The words of a search: what they mean, and what is said of those that mean nothing."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.question import ANYTHING, WORD, Phrase, Question, Unreadable, read
from jobs.states import RUNNING, State


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("", ANYTHING),
        ("  ", ANYTHING),
        ("failed", Question(states=(State.FAILURE,))),
        ("Running state:failed", Question(states=(*RUNNING, State.FAILURE))),
        ("kind:add KIND:divide queue:heavy", Question(kinds=("add", "divide"), queues=("heavy",))),
        ("worker:my_celery-1 id:12AB", Question(workers=("my_celery-1",), ids=("12ab",))),
        ("scheduled", Question(states=(State.PENDING,), scheduled=True)),
        ("waiting failed", Question(states=(State.PENDING, State.FAILURE), scheduled=False)),
        ("waiting scheduled", Question(states=(State.PENDING,))),
        ('"failed"', Question(phrases=(Phrase(words=("failed",)),))),
        ('"by zero" row_7', Question(phrases=(Phrase(words=("by", "zero")), Phrase(words=("row", "7"))))),
        ("zer*", Question(phrases=(Phrase(words=("zer",), open_end=True),))),
        ("1F3A", Question(phrases=(Phrase(words=("1F3A",), id_prefix="1f3a"),))),
        ('"1f3a"', Question(phrases=(Phrase(words=("1f3a",)),))),
        (
            "0a1b2c3d-4e5f-4a6b",
            Question(phrases=(Phrase(words=("0a1b2c3d", "4e5f", "4a6b"), id_prefix="0a1b2c3d-4e5f-4a6b"),)),
        ),
        ("until:2026-01-31T12:00", Question(until=datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp())),
        ("since:2026-01-31T12:00+02:00", Question(since=datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp())),
    ],
)
def test_words_have_a_meaning(text: str, question: Question) -> None:
    assert read(text) == question


def test_a_time_may_be_so_long_ago() -> None:
    before = time.time()
    since = read("since:2h").since
    assert since is not None
    assert before - 7200 <= since <= time.time() - 7200


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("add knd:divide", "'knd:'"),
        ("http://example.org", "'http:'"),
        ("kind:foo", "kind:foo is none of heavy, add,"),
        ("queue:x", "queue:x"),
        ("state:dead", "state:dead"),
        ("worker:a/b", "worker:a/b"),
        ("id:xyz", "id:xyz"),
        ("scheduled failed", "'scheduled'"),
        ("since:yesterday", "since:yesterday"),
        ("kind:", "'kind:'"),
        ('failed "by zero', "'\"by'"),
        ("ab*", "'ab*'"),
        ("failed --", "'--'"),
        ("a b c d e f g h i j k", "more than 10 words"),
        ("a-b-c-d-e-f-g-h-i-j-k", "more than 10 words"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, named: str) -> None:
    with pytest.raises(Unreadable) as error:
        read(text)
    assert named in str(error.value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        question = read(text)
    except Unreadable:
        pass
    else:
        assert all(WORD.fullmatch(word) for phrase in question.phrases for word in phrase.words)
