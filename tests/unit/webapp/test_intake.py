"""Taking jobs in, into a real ledger; no RabbitMQ is needed for that."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from apiflask import APIFlask
from flask import g
from sqlalchemy import update
from webapp.auth.actor import Actor
from webapp.intake import Intake, _add
from webapp.problems import Problem

from jobs.ledger import queries, tokens
from jobs.ledger.database import Ledger
from jobs.ledger.records import IdempotencyKey, KeyReused, NewJob, Role
from jobs.ledger.schema import token
from jobs.settings import settings

LIMIT = 3


@pytest.fixture
def intake(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Intake:
    monkeypatch.setattr(settings(), "backlog_limit", LIMIT)
    monkeypatch.setattr(settings(), "broker_host", "127.0.0.1:1")  # where nothing listens
    return Intake(ledger)


@pytest.fixture
def roomy(app: APIFlask, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Intake:
    """Return an intake of which tokens may have so many jobs in a minute, and no other limit."""
    monkeypatch.setattr(settings(), "token_submissions", LIMIT)
    monkeypatch.setattr(settings(), "broker_host", "127.0.0.1:1")
    with ledger.writing() as connection:
        for name in ("shop", "other"):
            tokens.add(connection, name, "operator", None)
    return Intake(ledger)


def new_job() -> NewJob:
    return NewJob(type="heavy", queue="heavy", params={})


def key(text: str, fingerprint: str = "print") -> IdempotencyKey:
    return IdempotencyKey(text=text, fingerprint=fingerprint)


def test_a_known_key_is_answered_also_when_the_backlog_is_full(intake: Intake, ledger: Ledger) -> None:
    first = intake.accept(new_job(), key=key("a"))
    for _ in range(2 * LIMIT):  # none of these is a job more
        assert intake.accept(new_job(), key=key("a")) == first
    for _ in range(LIMIT - 1):
        intake.accept(new_job())
    with pytest.raises(Problem, match="backlog is full"):
        intake.accept(new_job(), key=key("b"))
    assert intake.accept(new_job(), key=key("a")) == first
    with ledger.reading() as connection:
        assert queries.backlog(connection) == LIMIT


def test_a_batch_is_accepted_if_there_is_room_for_all_of_it(intake: Intake, ledger: Ledger) -> None:
    with pytest.raises(Problem, match="backlog is full"):
        intake.accept(*(new_job() for _ in range(LIMIT + 1)))
    intake.accept(*(new_job() for _ in range(LIMIT)))
    with ledger.reading() as connection:
        assert queries.backlog(connection) == LIMIT


def test_a_key_with_another_request_is_refused(intake: Intake) -> None:
    intake.accept(new_job(), key=key("a"))
    with pytest.raises(KeyReused):
        intake.accept(new_job(), key=key("a", "of another request"))


def test_a_token_submits_as_many_jobs_in_a_minute_as_it_may(app: APIFlask, roomy: Intake, ledger: Ledger) -> None:
    with app.test_request_context():
        g.actor = by_token("shop")
        first = roomy.accept(new_job(), key=key("a"))
        with pytest.raises(Problem, match="may submit 3 jobs in a minute"):
            roomy.accept(*(new_job() for _ in range(3)))
        assert g.allowance.left == 2
        roomy.accept(new_job(), new_job())
        assert g.allowance.left == 0
        assert 50 < g.allowance.renewed_in <= 60
        with pytest.raises(Problem, match="Too few are left for 1 more"):
            roomy.accept(new_job())
        assert roomy.accept(new_job(), key=key("a")) == first, "what is known is no job more"
        g.actor = by_token("other")
        roomy.accept(new_job())

        begun_a_minute_ago(ledger)
        g.actor = by_token("shop")
        roomy.accept(new_job(), new_job())
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 6


def test_many_at_a_time_submit_no_more_than_one_may(app: APIFlask, roomy: Intake, ledger: Ledger) -> None:
    def submit(_number: int) -> bool:
        with app.test_request_context():
            g.actor = by_token("shop")
            try:
                roomy.accept(new_job())
            except Problem as problem:
                return problem.status != 429
            return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(submit, range(40))) == LIMIT
    with ledger.reading() as connection:
        assert queries.backlog(connection) == LIMIT


def by_token(name: str) -> Actor:
    return Actor(who=f"token {name}", role=Role.OPERATOR, token=name, still_in=lambda: True)


def begun_a_minute_ago(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        connection.execute(update(token).values(minute_began_at=token.c.minute_began_at - 60))


def test_jobs_whose_commit_was_lost_are_written_unless_they_are_there(ledger: Ledger) -> None:
    there, missing = new_job(), new_job()
    with ledger.writing() as connection:
        _add(connection, [([there], None)])
    for _ in range(2):
        with ledger.writing() as connection:
            _add(connection, [([there], None), ([missing], None)], perhaps_done=True)
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 2
