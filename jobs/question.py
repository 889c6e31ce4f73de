"""What somebody looks for among the jobs, in simple words: ``kind:divide failed since:1h "by zero"``.

- ``kind:``, ``queue:``, ``state:``, ``worker:``, ``id:``, ``since:`` and ``until:`` are fields, each with its value
- the name of a state, alone, is a state: ``failed``
- all else is looked for in parameters, results and errors, as whole words; ``zer*`` finds all words that begin so;
  words between quotation marks stand beside each other
- a word that looks like the beginning of an id also finds that job

A job has to fit all of it. Of several kinds, queues, states, workers or ids, one has to fit.
"""

import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from jobs.catalogue import JOB_TYPES, QUEUES
from jobs.states import RUNNING, State

T = TypeVar("T")

#: Most words that are looked for in the text of jobs.
MOST_WORDS = 10
#: Characters that must stand before a ``*``, and those of an id that are enough to look for it.
SHORTEST_BEGINNING, SHORTEST_ID = 3, 4

#: States by the names that people see, and by those of the API.
STATES: dict[str, tuple[State, ...]] = {
    "scheduled": (State.PENDING,),
    "waiting": (State.PENDING,),
    "running": RUNNING,
    "retrying": (State.RETRY,),
    "failed": (State.FAILURE,),
    "succeeded": (State.SUCCESS,),
    "cancelled": (State.REVOKED,),
    **{state.lower(): (state,) for state in State},
}

_PART = re.compile(r'(?:(?P<field>[a-z_]+):)?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))(?=\s|$)', re.IGNORECASE)
#: Letters and digits, as the index of words takes them.
WORD = re.compile(r"[^\W_]+")
_ID = re.compile(r"[0-9a-f]{4,8}|[0-9a-f]{8}(-[0-9a-f]{0,4}){1,3}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{0,12}")
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Unreadable(ValueError):
    """A word cannot be understood; the message names it, and says what can be done."""


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """Words that stand beside each other in the text of a job."""

    #: Letters and digits only, at least one word.
    words: tuple[str, ...]
    #: Whether the last of them may be longer.
    open_end: bool = False
    #: What the id of a job may begin with instead: in small letters.
    id_prefix: str | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which jobs are looked for: ``None`` where anything fits. Times are seconds since the epoch."""

    states: tuple[State, ...] | None = None
    kinds: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    #: Whether they wait for their time.
    scheduled: bool | None = None
    #: Names of workers' containers.
    workers: tuple[str, ...] | None = None
    #: What an id begins with, in small letters.
    ids: tuple[str, ...] | None = None
    #: Accepted at this time or later, and before that one.
    since: float | None = None
    until: float | None = None
    phrases: tuple[Phrase, ...] = ()

    def narrowed(self, states: list[State] | None, kind: str | None, scheduled: bool | None) -> "Question":
        """Return the question for those of the jobs that are also in one of these states, of this kind, and so on."""
        chosen = _both(self.states, tuple(states) if states else None)
        if None not in (self.scheduled, scheduled) and self.scheduled != scheduled:
            chosen = ()
        return replace(
            self,
            states=chosen,
            kinds=_both(self.kinds, (kind,) if kind is not None else None),
            scheduled=self.scheduled if scheduled is None else scheduled,
        )


#: Any job fits.
ANYTHING = Question()


def read(text: str, now: float | None = None) -> Question:
    """Return what is looked for; times are counted back from ``now``. Raises :class:`Unreadable`."""
    now = time.time() if now is None else now
    given: dict[str, list[str]] = {}
    states: list[str] = []
    phrases: list[Phrase] = []
    times: dict[str, float] = {}
    for field, value, quoted in _parts(text):
        if field in ("since", "until"):
            times[field] = _moment(field, value, now)
        elif field == "state" or (field is None and not quoted and value.lower() in STATES):
            states.append(_one_of("state", value.lower(), STATES))
        elif field is not None:
            given.setdefault(field, []).append(_FIELDS[field](value))
        else:
            phrases.append(_phrase(value, quoted))
    if len(phrases) > MOST_WORDS:
        raise Unreadable(f"there are more than {MOST_WORDS} words to look for")
    return Question(
        states=tuple(dict.fromkeys(state for name in states for state in STATES[name])) or None,
        scheduled=_scheduled(states),
        kinds=tuple(given.get("kind", ())) or None,
        queues=tuple(given.get("queue", ())) or None,
        workers=tuple(given.get("worker", ())) or None,
        ids=tuple(given.get("id", ())) or None,
        since=times.get("since"),
        until=times.get("until"),
        phrases=tuple(phrases),
    )


def _scheduled(states: list[str]) -> bool | None:
    """Return whether jobs of these states wait for their time, as the names of the states tell it."""
    if "pending" in states or {"scheduled", "waiting"} <= set(states):
        return None
    if "scheduled" in states and len(set(states)) > 1:
        raise Unreadable("'scheduled' cannot stand beside other states than 'waiting'")
    return "scheduled" in states if {"scheduled", "waiting"} & set(states) else None


def _parts(text: str) -> list[tuple[str | None, str, bool]]:
    """Return of each part its field, its value, and whether that was between quotation marks."""
    found = []
    rest = text.strip()
    while rest:
        part = _PART.match(rest)
        if part is None:
            word = rest.split()[0]
            what = "has one quotation mark too few or too many" if '"' in word else "cannot be read"
            raise Unreadable(f"{word!r} {what}")
        field, quoted, plain = part.group("field", "quoted", "plain")
        if field is not None and field.lower() not in _NAMES:
            raise Unreadable(
                f"there is no {field + ':'!r}, but {', '.join(f'{name}:' for name in _NAMES)};"
                f' to look for the text itself, write "{part.group().replace(chr(34), "")}"'
            )
        if plain and plain[:-1].lower() in _NAMES and plain.endswith(":"):
            raise Unreadable(f"{plain!r} has no value after it")
        value = plain if quoted is None else quoted
        found.append((field and field.lower(), value, quoted is not None))
        rest = rest[part.end() :].lstrip()
    return found


def _one_of(field: str, value: str, names: Collection[str]) -> str:
    if value not in names:
        raise Unreadable(f"{field}:{value} is none of {', '.join(names)}")
    return value


def _worker(value: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,96}", value):
        raise Unreadable(f"worker:{value} is not the name of a container")
    return value


def _id(value: str) -> str:
    if not _ID.fullmatch(value.lower()):
        raise Unreadable(f"id:{value} is not the beginning of an id, with {SHORTEST_ID} characters or more")
    return value.lower()


_FIELDS: dict[str, Callable[[str], str]] = {
    "kind": lambda value: _one_of("kind", value, JOB_TYPES),
    "queue": lambda value: _one_of("queue", value, QUEUES),
    "worker": _worker,
    "id": _id,
}
_NAMES = ("kind", "queue", "state", "worker", "id", "since", "until")


def _moment(field: str, value: str, now: float) -> float:
    ago = _AGO.fullmatch(value.lower())
    if ago is not None:
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Unreadable(
            f"{field}:{value} is no time: write 30m, 1h or 7d for so long ago, or 2026-01-31T12:00 (UTC)"
        ) from None


def _phrase(value: str, quoted: bool) -> Phrase:
    open_end = value.endswith("*")
    words = tuple(WORD.findall(value))
    if not words:
        raise Unreadable(f"{value!r} has no letter and no digit to look for")
    if len(words) > MOST_WORDS:
        raise Unreadable(f"there are more than {MOST_WORDS} words to look for")
    if open_end and len(words[-1]) < SHORTEST_BEGINNING:
        raise Unreadable(f"{value!r} needs {SHORTEST_BEGINNING} characters or more before the *")
    begins_id = not quoted and _ID.fullmatch(value.lower()) is not None
    return Phrase(words=words, open_end=open_end, id_prefix=value.lower() if begins_id else None)


def _both(one: tuple[T, ...] | None, other: tuple[T, ...] | None) -> tuple[T, ...] | None:
    if one is None or other is None:
        return other if one is None else one
    return tuple(each for each in one if each in other)
