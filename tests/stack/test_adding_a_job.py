"""docs/adding_a_job.md, followed to the letter in a copy of the project: its code and its commands."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.documented import code, extract
from tests.support.project import ROOT
from tests.support.stack import PREFIX, Stack, wait_until
from tests.support.terminal import copy_project, type_all

PAGE = "docs/adding_a_job.md"


@pytest.fixture(scope="module")
def adding(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack of a copy of the project in which the page was followed."""
    folder = tmp_path_factory.mktemp("adding")
    root = folder / "warren"
    copy_project(root)
    page = (ROOT / PAGE).read_text()
    for block in code(page):
        block.put_into(root)
    stack = Stack(f"{PREFIX}_adding", root, root=root)
    stack.clear()
    try:
        type_all(PAGE, extract(page), stack, root, folder)
        yield stack
    finally:
        stack.http.close()
        stack.remove()


def test_it_takes_less_than_30_lines_in_two_files() -> None:
    blocks = code((ROOT / PAGE).read_text())
    assert sum(len(block.lines) for block in blocks) < 30
    assert {block.path for block in blocks} == {"jobs/catalogue.py", "celery/tasks/primes.py"}


def test_the_page_is_followed_and_the_job_runs_under_both_routes(adding: Stack) -> None:
    jobs = adding.http.get("/flask/tasks", params={"task_type": "primes"}).json()["data"]
    assert [job["input_params"] for job in jobs] == [{"up_to": 100}, {"up_to": 1_000_000}]  # as typed by the reader
    assert adding.wait_state(jobs[0]["task_id"], "SUCCESS")["result"] == {"count": 25, "largest": 97}
    assert adding.wait_state(jobs[1]["task_id"], "SUCCESS", 60)["result"] == {"count": 78_498, "largest": 999_983}


def test_its_progress_is_seen(adding: Stack) -> None:
    task_id = adding.submit("primes", up_to=1_000_000)
    job: dict[str, Any] = wait_until(
        lambda: adding.http.get(f"/flask/tasks/{task_id}").json(),
        30,
        "there is progress",
        lambda job: job["state"] == "PROGRESS" and job["progress"] > 0,
    )
    assert job["info"]["percent"] == job["progress"]
    assert " up to " in job["info"]["message"]
    adding.http.delete(f"/flask/tasks/{task_id}")


def test_it_is_in_the_document_with_its_limits(adding: Stack) -> None:
    document = adding.http.get("/flask/openapi.json").json()
    operation = document["paths"]["/flask/primes"]["post"]
    assert operation["summary"] == "Count prime numbers."
    assert operation["requestBody"]["content"]["application/json"]["example"] == {"up_to": 1000}
    schema = document["components"]["schemas"]["PrimesParams"]
    assert (schema["properties"]["up_to"]["minimum"], schema["properties"]["up_to"]["maximum"]) == (2, 1_000_000)
    examples = document["paths"]["/flask/tasks"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert examples["primes"]["value"] == {"task_type": "primes", "input_params": {"up_to": 1000}}


@pytest.mark.parametrize(
    ("params", "field"), [({}, "up_to"), ({"up_to": 1}, "up_to"), ({"up_to": "x"}, "up_to"), ({"to": 9}, "to")]
)
def test_wrong_parameters_are_refused(adding: Stack, params: dict[str, Any], field: str) -> None:
    short = adding.http.post("/flask/primes", json=params)
    long = adding.http.post("/flask/tasks", json={"task_type": "primes", "input_params": params})
    for answer, name in [(short, field), (long, f"input_params.{field}")]:
        assert answer.status_code == 422
        assert name in {error["field"] for error in answer.json()["errors"]}


def test_the_code_is_clean(adding: Stack) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    result = subprocess.run(
        [ruff, "check", "jobs/catalogue.py", "celery/tasks/primes.py"], cwd=adding.root, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout
