"""The load generator: what its users do, that every run has an end, and that it finds a limit."""

import csv
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from kinds import KINDS
from tests.support.project import ROOT
from tests.support.stack import Stack, free_port, run, wait_until

HEADLESS = ["--headless", "--only-summary"]
FIND_LIMIT = ["locust/locust", "-f", "locust/find_limit.py", *HEADLESS]


def rows_of(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Return the rows of a run with `--csv FOLDER/run`, by method and name."""
    with (folder / "run_stats.csv").open(newline="") as file:
        return {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}


def requests(rows: dict[tuple[str, str], dict[str, str]], method: str, name: str) -> int:
    return int(rows[method, name]["Request Count"]) if (method, name) in rows else 0


def newest(stack: Stack) -> int:
    [(seq,)] = stack.ledger("SELECT coalesce(max(seq), 0) FROM job")
    return int(seq)


def wait_ended(stack: Stack, before: int) -> list[tuple[str, str]]:
    """Wait until all jobs that are newer have ended; return kind and state of each."""
    wait_until(
        lambda: stack.ledger("SELECT count(*) FROM job WHERE seq > ? AND ended_at IS NULL", before),
        90,
        "the jobs of the users have ended",
        lambda found: found == [(0,)],
    )
    return stack.ledger("SELECT type, state FROM job WHERE seq > ?", before)


def test_the_classic_swarm_has_no_failure_and_leaves_a_report(stack: Stack, tmp_path: Path) -> None:
    before = newest(stack)
    host = f"{stack.url}/"  # with a slash, as in the README
    options = [*HEADLESS, "-u", "5", "-r", "5", "-t", "5s", "--csv", str(tmp_path / "run")]
    output = run(["locust/locust", "--host", host, *options], timeout=110).stdout  # raises unless exit 0

    rows = rows_of(tmp_path)
    submitted = requests(rows, "GET", "/flask/heavy")
    assert submitted >= 10
    assert requests(rows, "GET", "/flask/status?task_id=") > 0
    assert {row["Failure Count"] for row in rows.values()} == {"0"}

    report = Path(output.splitlines()[-1].removeprefix("Report: "))
    assert report.parent == ROOT / "locust/reports"
    assert "/flask/heavy" in report.read_text()
    report.unlink()

    ended = wait_ended(stack, before)
    assert ended.count(("heavy", "SUCCESS")) >= submitted
    assert {state for _, state in ended} == {"SUCCESS"}


def test_all_other_users_do_their_part_without_a_failure(stack: Stack, tmp_path: Path) -> None:
    before = newest(stack)
    options = [*HEADLESS, "--equal-weights", "-u", "24", "-r", "24", "-t", "10s"]
    files = ["--csv", str(tmp_path / "run"), "--html", str(tmp_path / "report.html")]
    output = run(
        ["locust/locust", "--host", stack.url, *options, *files, "Mix", "Poller", "Viewer"], timeout=110
    ).stdout
    assert output.splitlines()[-1] == f"Report: {tmp_path}/report.html"

    rows = rows_of(tmp_path)
    assert {row["Failure Count"] for row in rows.values()} == {"0"}
    assert requests(rows, "GET", "/flask/heavy") == 0, "the classic swarm was not asked for"
    assert any(method == "JOB" for method, _ in rows), "a Poller has followed a job to its end"
    assert requests(rows, "SSE", "/flask/live") >= 8, "each Viewer has seen an event"
    assert any(name.endswith(" (again)") for _, name in rows), "Mix has used an Idempotency-Key"
    assert requests(rows, "POST", "/flask/tasks/ID/retry") > 0
    assert requests(rows, "GET", "/flask/tasks?limit=20&status=") > 0
    assert {state for _, state in wait_ended(stack, before)} <= {"SUCCESS", "REVOKED"}


def test_the_results_that_users_take_for_right_are_those_of_the_stack(stack: Stack) -> None:
    jobs = [(kind, params, stack.submit(kind.name, **params)) for kind in KINDS for params in (kind.params(),)]
    for kind, params, task_id in jobs:
        assert kind.right(params, stack.wait_state(task_id, "SUCCESS")["result"]), kind.name


# --- the limit --------------------------------------------------------------------------------------------------------


def test_the_load_climbs_until_the_backlog_is_too_long(stack: Stack, tmp_path: Path) -> None:
    before = newest(stack)
    answer = stack.http.get("/flask/queues").json()
    limit = sum(queue["unfinished"] - queue["scheduled"] for queue in answer["data"]) + 15
    output = run(
        [
            *(*FIND_LIMIT, "--host", stack.url, "--html", str(tmp_path / "report.html"), "--users", "60"),
            *("--step-users", "3", "--step-time", "2", "--max-backlog", str(limit), "--max-p99", "10000", "Swarm"),
        ],
        timeout=110,
    ).stdout
    held = re.search(
        r"^Highest load held: (\d+) users, [\d.]+ requests/s, ([\d.]+) accepted jobs/s, p99 \d+ ms\. "
        rf"Stopped at (\d+) users: (\d+) jobs had not ended, above --max-backlog {limit}\.$",
        output,
        re.MULTILINE,
    )
    assert held, output
    assert int(held[1]) + 3 == int(held[3])
    assert float(held[2]) > 0
    assert int(held[4]) > limit
    wait_ended(stack, before)


def test_no_load_is_held_where_every_answer_is_too_slow(stack: Stack, tmp_path: Path) -> None:
    before = newest(stack)
    result = run(
        [
            *(*FIND_LIMIT, "--host", stack.url, "--html", str(tmp_path / "report.html")),
            *("--step-users", "2", "--step-time", "1", "--max-p99", "0.5"),
        ],
        check=False,
        timeout=110,
    )
    assert re.search(
        r"^No load was held\. Stopped at 2 users: p99 was \d+ ms, above --max-p99 0\.5\.$", result.stdout, re.M
    )
    assert result.returncode == 1
    wait_ended(stack, before)


def test_without_a_limit_the_climb_ends_at_the_most_users(stack: Stack, tmp_path: Path) -> None:
    before = newest(stack)
    output = run(
        [
            *(*FIND_LIMIT, "--host", stack.url, "--html", str(tmp_path / "report.html")),
            *("--users", "3", "--step-users", "2", "--step-time", "1", "--max-p99", "10000"),
        ],
        timeout=110,
    ).stdout
    assert re.search(
        r"^Highest load held: 3 users, .* No limit was found up to 3 users \(--users\)\.$", output, re.MULTILINE
    )
    wait_ended(stack, before)


@pytest.mark.parametrize(("option", "value"), [("--max-p99", "0"), ("--step-users", "many")])
def test_a_wrong_option_is_told(option: str, value: str) -> None:
    result = run([*FIND_LIMIT, "--host", "http://localhost", option, value], check=False)
    assert result.returncode == 2
    assert f"argument {option}: a number above 0 is needed, not {value}" in result.stderr


# --- refused, and bounded: these need no stack ------------------------------------------------------------------------


@contextmanager
def always_503(headers: dict[str, str]) -> Iterator[str]:
    """Serve on a free port, and answer every request with 503 and these headers; yield the address."""

    class Refuse(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(503)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_refused_user_waits_as_told_and_this_is_no_failure(tmp_path: Path) -> None:
    options = [*HEADLESS, "-u", "2", "-r", "2", "-t", "5s", "--html", str(tmp_path / "report.html")]
    with always_503({"Retry-After": "3"}) as host:
        run(["locust/locust", "--host", host, *options, "--csv", str(tmp_path / "run"), "Swarm"])
    rows = rows_of(tmp_path)
    assert requests(rows, "GET", "/flask/heavy") == 0
    assert 2 <= requests(rows, "GET", "/flask/heavy (refused)") <= 4, "in 5 s each user has come once or twice"
    assert {row["Failure Count"] for row in rows.values()} == {"0"}


def test_a_503_that_does_not_say_when_to_come_back_is_a_failure(tmp_path: Path) -> None:
    options = [*HEADLESS, "-u", "1", "-t", "2s", "--html", str(tmp_path / "report.html")]
    with always_503({}) as host:
        result = run(["locust/locust", "--host", host, *options, "Swarm"], check=False)
    assert result.returncode == 1
    assert "503 instead of 202" in result.stdout + result.stderr


def press_ctrl_c(locust: "subprocess.Popen[bytes]") -> None:
    """End Locust as its user does: who sees that nothing happens presses again.

    Python raises KeyboardInterrupt in whatever greenlet runs just then, and some of gevent's take it for their own.
    """
    for _ in range(5):
        locust.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            locust.wait(10)
            break


def test_a_run_without_limits_has_limits(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with always_503({"Retry-After": "60"}) as host, log.open("w") as file:
        command = ["locust/locust", "--host", host, *HEADLESS, "--html", str(tmp_path / "report.html")]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file) as locust:
            try:
                wait_until(lambda: "All users spawned" in log.read_text(), 60, "all users are there")
            finally:
                press_ctrl_c(locust)
    text = log.read_text()
    assert "Run time limit set to 300 seconds" in text
    assert "Ramping to 10 users" in text
    assert f"Report: {tmp_path}/report.html" in text, "also after Ctrl-C"


def test_the_page_offers_the_same_limits(tmp_path: Path) -> None:
    port = free_port()
    command = ["locust/locust", "--host", "http://localhost:8000/", "--web-port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as locust:
        try:
            page = wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/").text, 60, "Locust shows its page")
        finally:
            press_ctrl_c(locust)
    assert '"run_time": 300' in page
    assert '"num_users": 10' in page
