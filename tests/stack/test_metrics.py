"""What Prometheus is told: by the web, by each worker and by RabbitMQ, and by nobody on the published port."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from prometheus_client.parser import text_string_to_metric_families

from jobs.catalogue import JOB_TYPES
from tests.support.project import ROOT
from tests.support.stack import Stack, wait_until

Figures = dict[tuple[str, ...], float]

_GET = "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=5).read())"
_ADDRESSES = "import socket, sys; print(*sorted(socket.gethostbyname_ex(sys.argv[1])[2]))"


def ask(stack: Stack, address: str) -> str:
    """Return what an address in the inner network answers."""
    return stack.docker("exec", stack.flask, "python", "-c", _GET, f"http://{address}/metrics")


def figures(stack: Stack, address: str) -> Figures:
    """Return what an address tells: the values by name, and by labels in the order of their names."""
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(ask(stack, address))
        for sample in family.samples
    }


def web(stack: Stack) -> Figures:
    return figures(stack, "localhost:8000")


def of_worker(stack: Stack) -> Figures:
    return figures(stack, f"{stack.celery}:9100")


def rise(look: Callable[[], Figures], before: Figures, *key: str) -> Callable[[], float]:
    return lambda: look().get(key, 0) - before.get(key, 0)


def test_jobs_are_counted_where_they_are_accepted_and_where_they_run(stack: Stack) -> None:
    web_before, worker_before = web(stack), of_worker(stack)
    # Over connections of their own, so that all Gunicorn processes get some of them.
    ids = [json.loads(submit_alone(stack))["task_id"] for _ in range(20)]
    failing = stack.submit("divide", a=1, b=0)
    for task_id in ids:
        stack.wait_state(task_id, "SUCCESS")
    stack.wait_state(failing, "FAILURE")
    assert rise(partial(web, stack), web_before, "warren_submissions_total", "202", "add")() == 20
    requests = "warren_http_request_duration_seconds_count", "POST", "/flask/add"
    assert rise(partial(web, stack), web_before, *requests)() == 20
    assert rise(partial(web, stack), web_before, "warren_ledger_commit_duration_seconds_count")() > 0
    look = partial(of_worker, stack)
    # A job is counted just after its row says that it has ended.
    failed = rise(look, worker_before, "warren_jobs_ended_total", "FAILURE", "divide")
    wait_until(failed, 10, "the failure is counted")
    succeeded = rise(look, worker_before, "warren_jobs_ended_total", "SUCCESS", "add")
    wait_until(succeeded, 10, "all successes are counted", lambda risen: risen == 20)
    assert rise(look, worker_before, "warren_queue_wait_seconds_count", "add")() == 20
    assert rise(look, worker_before, "warren_run_duration_seconds_count", "add")() == 20
    assert rise(look, worker_before, "warren_ledger_commit_duration_seconds_count")() > 0


def submit_alone(stack: Stack) -> str:
    """Submit an addition to Flask itself, over a new connection, and return the answer."""
    request = (
        "import urllib.request; print(urllib.request.urlopen(urllib.request.Request("
        "'http://localhost:8000/flask/add', b'{\"a\": 1, \"b\": 2}')).read().decode())"
    )
    return stack.docker("exec", stack.flask, "python", "-c", request)


def test_every_process_tells_the_sum_of_all(stack: Stack) -> None:
    # All over connections of their own: nobody knows which process answers.
    program = """
import urllib.request
def get(path):
    return urllib.request.urlopen("http://localhost:8000" + path).read().decode()
for _ in range(20):
    get("/flask/queues/history")
for _ in range(20):
    print(get("/metrics"))
"""
    key = "warren_http_request_duration_seconds_count", "GET", "/flask/queues/history"
    expected = web(stack).get(key, 0) + 20
    told = stack.docker("exec", stack.flask, "python", "-c", program)
    counted = re.findall(rf'{key[0]}{{method="GET",route="{key[2]}"}} (.+)', told)
    assert [float(count) for count in counted] == [expected] * 20


def test_a_run_that_is_cancelled_is_counted(stack: Stack) -> None:
    before = of_worker(stack)
    task_id = stack.submit_heavy(seconds=50)
    stack.wait_state(task_id, "STARTED")
    assert web(stack)["warren_running_jobs",] >= 1
    stack.http.delete(f"/flask/tasks/{task_id}")
    look = rise(partial(of_worker, stack), before, "warren_jobs_ended_total", "REVOKED", "heavy")
    wait_until(look, 10, "the end of the run is counted", lambda risen: risen == 1)


def test_the_ledger_and_who_lives_are_told(stack: Stack) -> None:
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    later = stack.http.post(
        "/flask/tasks", json={"task_type": "export", "input_params": {}, "run_at": in_an_hour}
    ).json()["task_id"]
    found = web(stack)
    stack.http.delete(f"/flask/tasks/{later}")
    assert found["warren_scheduled_jobs", "export"] == 1
    assert found["warren_ledger_up",] == 1
    assert found["warren_workers",] == 1
    assert found["warren_worker_places",] == 8
    assert found["warren_ledger_bytes",] == (stack.db / "backend.db").stat().st_size
    assert 0 < found["warren_ledger_wal_bytes",] < 64 << 20
    assert 0 < found["warren_ledger_free_bytes",] < found["warren_ledger_disk_bytes",]
    ticked = found["warren_beat_last_tick_timestamp_seconds",]
    wait_until(
        lambda: web(stack)["warren_beat_last_tick_timestamp_seconds",], 10, "beat ticks", lambda now: now > ticked
    )


def test_all_that_the_page_lists_is_told(stack: Stack) -> None:
    stack.wait_state(stack.submit("add", a=1, b=2), "SUCCESS")
    page = (ROOT / "docs/operations.md").read_text()
    listed = set(re.findall(r"^\| `(warren_\w+)` \|", page, re.MULTILINE))
    told = set(
        re.findall(
            r"^# TYPE (warren_\w+)", ask(stack, "localhost:8000") + ask(stack, f"{stack.celery}:9100"), re.MULTILINE
        )
    )
    # An autoscaler may not have run yet. While it runs, test_autoscale.py looks.
    assert listed - told <= {name for name in listed if name.startswith("warren_autoscaler_")}
    assert told <= listed


def test_labels_have_only_known_values(stack: Stack) -> None:
    stack.http.get("/flask/nothing_here")
    stack.http.request("BREW", "/flask/heavy")
    stack.http.post("/flask/tasks", json={"task_type": "no_such_kind"})
    told = ask(stack, "localhost:8000") + ask(stack, f"{stack.celery}:9100")
    assert "nothing_here" not in told
    assert "BREW" not in told
    assert set(re.findall(r'task_type="([^"]*)"', told)) <= {*JOB_TYPES, "unknown"}


def test_rabbitmq_tells_of_itself(stack: Stack) -> None:
    assert figures(stack, f"{stack.rabbitmq}:15692")["rabbitmq_queues",] >= 3


def test_a_worker_that_is_added_is_found_by_the_name_of_all(stack: Stack) -> None:
    def found() -> list[str]:
        return stack.docker("exec", stack.flask, "python", "-c", _ADDRESSES, f"{stack.prefix}_workers").split()

    def address(worker: str) -> str:
        return str(stack.inspect(worker)["NetworkSettings"]["Networks"][stack.network]["IPAddress"])

    assert found() == [address(stack.celery)]
    stack.run("./launch_celery_worker.sh", "1", "--concurrency", "1")
    added = f"{stack.celery}_2"
    try:
        assert found() == sorted([address(stack.celery), address(added)])
        assert "warren_jobs_ended_total" in ask(stack, f"{address(added)}:9100")
        wait_until(lambda: web(stack)["warren_workers",], 10, "it counts", lambda workers: workers == 2)
    finally:
        stack.docker("rm", "--force", added)


def test_nobody_outside_is_told(stack: Stack) -> None:
    for path in ("/metrics", "/flask/metrics", "/flask/../metrics", "/flask/..%2fmetrics"):
        answer = stack.http.get(path)
        assert answer.status_code in (400, 404), path
        assert "warren_" not in answer.text
