"""What a list of jobs is asked for: its filters, its address, and what can be done with its jobs."""

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import request
from pydantic import ConfigDict

from jobs.question import Question, Unreadable, read
from jobs.states import ENDED, RETRYABLE, State
from webapp.models.jobs import JobsQuery
from webapp.problems import checked

#: What can be done, and to jobs in which states.
POSSIBLE = {"cancel": tuple(state for state in State if state not in ENDED), "retry": RETRYABLE}


class ListQuery(JobsQuery):
    """Query of the page of jobs: that of the API, and what else is in the address."""

    model_config = ConfigDict(extra="ignore")


def list_query(without: Collection[str] = ()) -> ListQuery:
    """Return what list of jobs the present request asks for, but some parameters. Raises a 422 problem."""
    given = {name: text for name, text in request.args.items() if text.strip() and name not in without}
    return checked(ListQuery, given)


def what_is_wrong(words: str) -> str:
    """Return why the words of a search cannot be read; nothing if they can."""
    try:
        read(words)
    except Unreadable as error:
        return str(error)
    return ""


def asked_for(query: ListQuery) -> dict[str, str]:
    """Return what a list of jobs is asked for, as its links have it, without its place in the list."""
    given = query.model_dump(mode="json", exclude={"cursor"}, exclude_defaults=True)
    return {name: text for name, value in given.items() if (text := _as_text(value))}


def _as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)


def address(asked: Mapping[str, str], **changes: str | None) -> str:
    """Return the address of a list of jobs that is asked for the same, with some changes."""
    return "/flask?" + urlencode({name: text for name, text in {**asked, **changes}.items() if text})


def possible(query: ListQuery) -> dict[str, list[State]]:
    """Return what can be done with jobs of a list, and to those in which of its states."""
    question = question_of(query)
    shown = set(State if question.states is None else question.states)
    if question.scheduled:
        shown &= {State.PENDING}
    if query.failure:
        shown &= {State.FAILURE}
    found = {action: [state for state in states if state in shown] for action, states in POSSIBLE.items()}
    return {action: states for action, states in found.items() if states}


def question_of(query: ListQuery) -> Question:
    """Return which jobs a list has, but for a group of failures."""
    return read(query.q or "").narrowed(query.status, query.task_type, query.scheduled)
