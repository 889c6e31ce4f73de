"""What the web counts: of all its processes together, and never a figure for what a client has made up."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobs.catalogue import JOB_TYPES
from tests.support.project import ROOT

#: What several processes are asked, as Gunicorn starts them; then what the last of them tells.
PROGRAM = """
import os, sys
from jobs.commands.migrate import upgrade
from jobs.ledger.database import ledger
from webapp import create_app

app = create_app()
ledger().create()
upgrade(ledger())

def in_a_process(requests):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            client = app.test_client()
            for method, path, body in requests:
                client.open(path, method=method, json=body)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

for requests in eval(sys.stdin.read()):
    in_a_process(requests)
answer = app.test_client().get("/metrics")
assert answer.status_code == 200, answer.text
assert answer.content_type.startswith("text/plain; version=0.0.4")
sys.stdout.buffer.write(answer.data)
"""

Request = tuple[str, str, object]
Figures = dict[tuple[str, ...], float]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "figures").mkdir()
    return {
        "PYTHONPATH": f"{ROOT}:{ROOT}/flask",
        "PROMETHEUS_MULTIPROC_DIR": f"{tmp_path}/figures",
        "DATABASE_URL": f"sqlite:///{tmp_path}/backend.db",
        "BROKER_HOST": "127.0.0.1:1",  # where nothing listens
        "BACKLOG_LIMIT": "8",
    }


def told_after(environment: dict[str, str], *processes: list[Request]) -> Figures:
    """Return the figures after each of the processes was asked so: by name, and by labels in their order."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=repr(processes).encode(), env=environment, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(ran.stdout.decode())
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def submissions(figures: Figures) -> Figures:
    return {key[1:]: value for key, value in figures.items() if key[0] == "warren_submissions_total"}


def requests(figures: Figures) -> Figures:
    return {key[1:]: value for key, value in figures.items() if key[0] == "warren_http_request_duration_seconds_count"}


def test_the_requests_of_all_processes_are_counted(environment: dict[str, str]) -> None:
    heavy: Request = ("POST", "/flask/heavy", {"seconds": 0})
    figures = told_after(environment, [heavy], [heavy, heavy], [("GET", "/flask/healthz", None)])
    assert submissions(figures) == {("202", "heavy"): 3}
    assert requests(figures) == {("POST", "/flask/heavy"): 3, ("GET", "/flask/healthz"): 1}
    assert figures["warren_http_request_duration_seconds_sum", "POST", "/flask/heavy"] > 0
    assert figures["warren_ledger_commit_duration_seconds_count",] >= 3
    assert figures["warren_backlog_jobs", "heavy"] == 3


def test_jobs_are_counted_by_kind_and_refusals_by_their_status(environment: dict[str, str]) -> None:
    of_any_kind = [{"task_type": "add", "input_params": {"a": 1, "b": 2}}, {"task_type": "text", "input_params": {}}]
    figures = told_after(
        environment,
        [
            ("POST", "/flask/tasks/batch", {"jobs": [of_any_kind[0]] * 5}),
            ("GET", "/flask/heavy?seconds=0", None),
            ("POST", "/flask/tasks", of_any_kind[0]),
            ("POST", "/flask/api/tasks/submit", of_any_kind[0]),
            # Now the backlog is full.
            ("POST", "/flask/divide", {"a": 1, "b": 2}),
            ("POST", "/flask/tasks/batch", {"jobs": [of_any_kind[0]] * 5}),
            ("POST", "/flask/api/tasks/submit", of_any_kind[1]),
            ("POST", "/flask/heavy", {"seconds": -1}),
            ("GET", "/flask/heavy?seconds=many", None),
            ("GET", "/flask/tasks?limit=0", None),
        ],
    )
    assert submissions(figures) == {
        ("202", "add"): 7,
        ("202", "heavy"): 1,
        ("503", "divide"): 1,
        ("503", "unknown"): 1,
        ("422", "text"): 1,
        ("422", "heavy"): 2,
    }


def test_what_clients_make_up_gets_no_figure_of_its_own(environment: dict[str, str]) -> None:
    made_up: list[Request] = []
    for number in range(20):
        made_up += [
            ("GET", f"/flask/no_such_page_{number}", None),
            ("GET", f"/flask/tasks/no_such_job_{number}", None),
            (f"METHOD{number}", "/flask/heavy", None),
            (f"METHOD{number}", "/nowhere", None),
            ("POST", f"/flask/kind_{number}", {}),
            ("POST", "/flask/tasks", {"task_type": f"kind_{number}", "input_params": {}}),
            ("POST", "/flask/tasks", {"task_type": {"a": number}}),
            ("POST", "/flask/tasks", [number]),
            ("POST", f"/flask/ui/submit/kind_{number}", None),
        ]
    figures = told_after(environment, made_up)
    assert submissions(figures) == {("422", "unknown"): 60, ("404", "unknown"): 20}
    assert requests(figures) == {
        ("GET", "unmatched"): 20,
        ("POST", "unmatched"): 20,
        ("other", "unmatched"): 40,
        ("GET", "/flask/tasks/<task_id>"): 20,
        ("POST", "/flask/tasks"): 60,
        ("POST", "/flask/ui/submit/<name>"): 20,
    }
    assert not any(kind in label for labels in figures for label in labels for kind in ("kind_", "METHOD"))


def test_each_kind_is_known_by_its_own_route(environment: dict[str, str]) -> None:
    figures = told_after(environment, [("POST", f"/flask/{name}", {"no_such_field": 1}) for name in JOB_TYPES])
    assert submissions(figures) == {("422", name): 1 for name in JOB_TYPES}
