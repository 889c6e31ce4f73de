"""Schemathesis drives the live stack from its OpenAPI document: thousands of requests, right and wrong ones.

None may be answered 500, nor with a status, a content type or a shape that the document does not have. A short run by
default; `--schemathesis-examples 2000` makes a long one.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.catalogue import QUEUES
from tests.support.stack import Stack

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]

# 503 with Retry-After is a promise: not now. Streams of events have no end that one could wait for.
CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
# And to run all jobs again, again and again, would make twice as many each time.
LEFT_OUT = ["--exclude-path-regex", "/events$|/tasks/retry$|/retry_jobs$"]

# So many seconds for each example that is asked for, on a slow machine, and something for the start.
SECONDS_PER_EXAMPLE = 10
SECONDS_TO_START = 120


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
    examples: int = pytestconfig.getoption("schemathesis_examples")
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    seed = ["--seed", "1"] if os.environ.get("CI") == "true" else []  # see tests/conftest.py
    result = subprocess.run(
        [
            *(Path(sys.executable).with_name("st"), "--config-file", configuration, "--no-color"),
            *("run", f"{stack.url}/flask/openapi.json", "--max-examples", str(examples), "--workers", "2"),
            *("--checks", ",".join(CHECKS), "--continue-on-failure", "--output-truncate", "false"),
            *("--generation-database", "none", "--warnings", "off", "--request-timeout", "30"),
            *LEFT_OUT,
            *seed,
        ],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_TO_START + examples * SECONDS_PER_EXAMPLE,
    )
    print(result.stdout)
    assert result.returncode == 0
