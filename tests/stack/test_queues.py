"""A long queue of one kind of job does not delay another kind."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.stack import Stack, wait_until


@pytest.mark.parametrize(
    ("path", "parameters"), [("/flask/heavy", {"seconds": 30}), ("/flask/email_sending", {"num_emails": 60})]
)
def test_an_addition_does_not_wait_for_1000_long_jobs(stack: Stack, path: str, parameters: dict[str, Any]) -> None:
    def submit(_: int) -> str:
        return str(stack.http.post(path, json=parameters).json()["task_id"])

    with ThreadPoolExecutor(8) as pool:
        waiting = list(pool.map(submit, range(1000)))
        try:
            # As many of them run as may, and all the others wait.
            wait_until(lambda: running(stack, path.rpartition("/")[2]), 30, "some of them run")
            for _ in range(5):
                # Within a second on a quiet machine, and far below the 30 s that each of the others takes on any.
                stack.wait_state(stack.submit("add", a=1, b=2), "SUCCESS", timeout=10)
        finally:
            list(pool.map(lambda task_id: stack.http.delete(f"/flask/tasks/{task_id}"), waiting))
    # All processes are free again, and what is left in the queues is dropped.
    stack.wait_state(stack.submit("heavy", seconds=0), "SUCCESS", timeout=60)
    stack.wait_state(stack.submit("export"), "SUCCESS", timeout=60)


def running(stack: Stack, task_type: str) -> bool:
    """Tell whether jobs of that kind run."""
    query = {"status": "STARTED,PROGRESS", "task_type": task_type}
    return bool(stack.http.get("/flask/tasks", params=query).json()["data"])
