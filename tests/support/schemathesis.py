"""Schemathesis: thousands of requests, right and wrong ones, made up from the OpenAPI document of a live stack."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.stack import Stack

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]

# 503 with Retry-After is a promise: not now.
CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]

# To run all jobs again, again and again, would make twice as many each time: these get wrong requests only.
[[operations]]
include-path-regex = "/tasks/retry$|/retry_jobs$"
generation = { mode = "negative" }
phases = { examples = { enabled = false } }
"""
# A stream of events has no end that one could wait for, and a worker that was drained takes no more jobs.
LEFT_OUT = ["--exclude-path-regex", "/events$|/drain$"]

# So many seconds for each example that is asked for, on a slow machine, and something for the start.
SECONDS_PER_EXAMPLE = 10
SECONDS_TO_START = 120


def drive(
    stack: Stack,
    examples: int,
    folder: Path,
    *,
    token: str | None = None,
    phases: str = "examples,coverage,fuzzing,stateful",
) -> None:
    """Send so many requests to each operation. Fails if one is answered 500, or otherwise than the document says.

    The report is printed. With a token, each request has it. Phases are those of Schemathesis.
    """
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    document = stack.http.get("/flask/openapi.json").text
    (folder / "openapi.json").write_text(document)
    seed = ["--seed", "1"] if os.environ.get("CI") == "true" else []  # see tests/conftest.py
    credentials = ["--header", f"Authorization: Bearer {token}"] if token else []
    result = subprocess.run(
        [
            *(Path(sys.executable).with_name("st"), "--config-file", configuration, "--no-color"),
            *("run", "openapi.json", "--url", stack.url, "--max-examples", str(examples), "--phases", phases),
            *("--checks", ",".join(CHECKS), "--continue-on-failure", "--output-truncate", "false"),
            *("--generation-database", "none", "--warnings", "off", "--request-timeout", "30"),
            *LEFT_OUT,
            *seed,
            *credentials,
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_TO_START + examples * SECONDS_PER_EXAMPLE,
    )
    print(result.stdout)
    assert result.returncode == 0
