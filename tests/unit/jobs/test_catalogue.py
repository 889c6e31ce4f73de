import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.catalogue import JOB_TYPES, QUEUES, places
from tests.support.project import ROOT


def test_every_entry_has_its_module_and_every_module_its_entry() -> None:
    modules = {path.stem for path in Path(ROOT, "celery/tasks").glob("*.py")} - {"__init__"}
    assert modules == set(JOB_TYPES)


def test_every_entry_names_a_queue_that_the_broker_declares() -> None:
    definitions = json.loads(Path(ROOT, "rabbitmq/definitions.json.template").read_text())
    assert {queue["name"] for queue in definitions["queues"]} == set(QUEUES)
    assert {job_type.queue for job_type in JOB_TYPES.values()} <= set(QUEUES)


@pytest.mark.parametrize("seconds", [0, 60, 0.5, 2])
def test_heavy_accepts(seconds: float) -> None:
    assert JOB_TYPES["heavy"].params.model_validate({"seconds": seconds}).model_dump() == {"seconds": seconds}


def test_heavy_without_seconds_takes_one_to_three() -> None:
    drawn = {JOB_TYPES["heavy"].params.model_validate({}).model_dump()["seconds"] for _ in range(200)}
    assert drawn == {1, 2, 3}


@pytest.mark.parametrize(
    "parameters",
    [{"seconds": -1}, {"seconds": 60.1}, {"seconds": "nan"}, {"seconds": None}, {"seconds": True}, {"secs": 1}],
)
def test_heavy_refuses(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JOB_TYPES["heavy"].params.model_validate(parameters)


@pytest.mark.parametrize(
    ("queue", "queues", "expected"),
    [("heavy", "heavy,export,arithmetic", 4), ("export", "heavy,export", 2), ("arithmetic", "export,arithmetic", 8)]
    + [(queue, queue, 8) for queue in QUEUES],
)
def test_long_jobs_leave_places_to_the_other_queues_of_a_worker(queue: str, queues: str, expected: int) -> None:
    assert places(queue, queues, concurrency=8) == expected
