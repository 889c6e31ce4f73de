"""Taking jobs in, into a real ledger; no RabbitMQ is needed for that."""

import pytest
from webapp.intake import Intake
from webapp.problems import Problem

from jobs.ledger import queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import IdempotencyKey, KeyReused, NewJob
from jobs.settings import settings

LIMIT = 3


@pytest.fixture
def intake(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Intake:
    monkeypatch.setattr(settings(), "backlog_limit", LIMIT)
    monkeypatch.setattr(settings(), "broker_host", "127.0.0.1:1")  # where nothing listens
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
