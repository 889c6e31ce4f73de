"""Schemathesis drives the live stack from its OpenAPI document: thousands of requests, right and wrong ones.

None may be answered 500, nor with a status, a content type or a shape that the document does not have. A short run by
default; `--schemathesis-examples 2000` makes a long one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.catalogue import QUEUES
from tests.support.schemathesis import drive
from tests.support.stack import Stack


@pytest.fixture
def nothing_is_left(stack: Stack) -> Iterator[None]:
    """Remove schedules and cancel jobs afterwards: they would run for hours."""
    yield
    for schedule in stack.http.get("/flask/schedules").json()["data"]:
        assert stack.http.delete(f"/flask/schedules/{schedule['name']}").status_code == 204
    for queue in QUEUES:
        stack.http.post(f"/flask/queues/{queue}/resume")
    done = stack.http.post("/flask/tasks/cancel", json={"created_to": "2100-01-01T00:00:00Z"})
    stack.wait_state(done.json()["task_id"], "SUCCESS", timeout=120)
    # Those that act on other jobs themselves, and what they have made meanwhile.
    while left := stack.ledger("SELECT id FROM job WHERE ended_at IS NULL ORDER BY seq DESC"):
        for (task_id,) in left:
            assert stack.http.delete(f"/flask/tasks/{task_id}").status_code in {200, 409}
    stack.wait_state(stack.submit_heavy(), "SUCCESS", timeout=60)


@pytest.mark.timeout(0)  # the subprocess has its own
@pytest.mark.usefixtures("nothing_is_left")
def test_schemathesis_finds_nothing(stack: Stack, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    drive(stack, pytestconfig.getoption("schemathesis_examples"), tmp_path)
