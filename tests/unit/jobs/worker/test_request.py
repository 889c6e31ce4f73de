"""What the worker makes of a message, with Celery's own messages and its own way of making a class for each task."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker.request import create_request_cls
from kombu.message import Message
from tasks import add, heavy

from jobs.app import app
from jobs.worker.request import JobRequest


def request(task: Any, *args: Any, from_relay: bool = False, **kwargs: Any) -> JobRequest:
    sent = app.amqp.create_task_message("an-id", task.name, args, kwargs)
    message = Message(
        json.dumps(sent.body),
        content_type="application/json",
        content_encoding="utf-8",
        headers={**sent.headers, **({"ledger": True} if from_relay else {})},
        delivery_info={"routing_key": "a queue"},
    )
    pool = SimpleNamespace(apply_async=None)
    made = create_request_cls(JobRequest, task, pool, "here", None, app=app)
    return made(message, app=app, task=task)  # type: ignore[no-any-return]


def test_the_class_that_celery_makes_for_a_task_claims_before_it_runs() -> None:
    assert type(request(add.add, 1, 2)).execute_using_pool is JobRequest.execute_using_pool


def test_a_job_from_the_relay_is_in_the_ledger() -> None:
    assert request(add.add, a=1, b=2, from_relay=True).in_ledger
    assert not request(add.add, a=1, b=2).in_ledger


@pytest.mark.parametrize(("args", "kwargs"), [((1, 2), {}), ((1,), {"b": 2}), ((), {"a": 1, "b": 2})])
def test_a_job_sent_by_delay_is_known_by_the_names_of_its_parameters(args: Any, kwargs: Any) -> None:
    job = request(add.add, *args, **kwargs).as_new_job()
    assert (job.id, job.type, job.queue, job.params) == ("an-id", "add", "a queue", {"a": 1, "b": 2})


def test_a_task_outside_of_the_catalogue_keeps_its_arguments() -> None:
    @app.task(name="outside")
    def other(*_args: Any, **_kwargs: Any) -> None: ...

    assert request(other, x=1).as_new_job().params == {"x": 1}
    assert request(other, 5, x=1).as_new_job().params == {"x": 1, "args": [5]}


def test_the_pool_is_told_the_attempt_the_request_and_the_limits() -> None:
    made = request(heavy.heavy, seconds=1)
    made.attempt, made.request_id = 3, "r-1"
    name, job_id, headers, *_ = made.message()
    assert (name, job_id, headers["attempt"], headers["request_id"]) == ("heavy", "an-id", 3, "r-1")
    assert made.limits() == {"soft_timeout": None, "timeout": heavy.heavy.time_limit}


def test_which_kinds_are_quick_is_said_in_the_catalogue() -> None:
    assert request(add.add, 1, 2).quick
    assert not request(heavy.heavy).quick
