"""Server-Sent Events: changes of jobs as they happen, after an interruption too."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx

from tests.support.stack import Stack, wait_until


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Wait until the stream has begun, then yield id and data of each of its events."""
    lines = answer.iter_lines()
    assert next(lines) == "retry: 2000"
    return _events(lines)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    event_id = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "data":
            yield event_id, json.loads(value)


def test_one_job_is_followed_to_its_end(stack: Stack) -> None:
    task_id = stack.submit("divide", a=9, b=2)
    with stack.http.stream("GET", f"/flask/tasks/{task_id}/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        told = [job for _, job in events(answer)]  # the stream ends by itself
    assert {job["task_id"] for job in told} == {task_id}
    assert told[-1]["state"] == "SUCCESS"
    assert told[-1]["result"] == 4.5
    percents = [job["progress"] for job in told]
    assert percents == sorted(percents)


def test_the_stream_of_an_ended_job_tells_so_and_ends(stack: Stack) -> None:
    task_id = stack.submit_heavy()
    stack.wait_state(task_id, "SUCCESS")
    with stack.http.stream("GET", f"/flask/tasks/{task_id}/events") as answer:
        assert [job["state"] for _, job in events(answer)] == ["SUCCESS"]


def test_the_stream_of_an_unknown_job_is_a_problem(stack: Stack) -> None:
    assert stack.http.get("/flask/tasks/unknown/events").status_code == 404


def test_all_jobs_are_followed_and_a_viewer_who_was_away_misses_nothing(stack: Stack) -> None:
    with stack.http.stream("GET", "/flask/events") as answer:
        stream = events(answer)
        sent = stack.submit_heavy(0.5)
        last_id = next(event_id for event_id, job in stream if job["task_id"] == sent and job["ready"])

    missed = stack.submit_heavy()
    stack.wait_state(missed, "SUCCESS")
    with stack.http.stream("GET", "/flask/events", headers={"Last-Event-ID": last_id}) as answer:
        for _, job in events(answer):
            if job["task_id"] == missed:
                assert job["state"] == "SUCCESS"
                break


def test_a_stream_holds_no_thread_and_is_given_back_when_its_viewer_leaves(stack: Stack) -> None:
    streams = 2 * 32 * 2  # twice the threads of both processes
    with ExitStack() as open_streams:
        client = open_streams.enter_context(many_connections(stack))
        for _ in range(streams):
            answer = open_streams.enter_context(client.stream("GET", "/flask/events"))
            assert answer.status_code == 200
        stack.wait_state(stack.submit_heavy(), "SUCCESS")
        assert open_sockets(stack) >= streams
    wait_until(lambda: open_sockets(stack) < streams, 20, "the streams are closed in the web container, too")


def test_streams_are_capped_and_other_requests_go_on(stack: Stack) -> None:
    stack.run("./build.sh", WEB_STREAMS="4")
    try:
        with ExitStack() as open_streams:
            client = open_streams.enter_context(many_connections(stack))
            answers = [open_streams.enter_context(client.stream("GET", "/flask/events")) for _ in range(30)]
            codes = Counter(answer.status_code for answer in answers)
            assert set(codes) == {200, 503}
            assert codes[200] <= 2 * 4
            assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 503)
            stack.wait_state(stack.submit_heavy(), "SUCCESS")
    finally:
        stack.run("./build.sh")


def test_streams_do_not_delay_the_end_of_the_web_container(stack: Stack) -> None:
    with stack.http.stream("GET", "/flask/events") as answer:
        stream = events(answer)
        started = time.monotonic()
        stack.docker("restart", stack.flask)
        took = time.monotonic() - started
        assert list(stream) == []  # it has ended, and the viewer can come back
    # Gunicorn's graceful timeout is 20 s, which a stream would use up.
    assert took < 18
    stack.wait_healthy(stack.flask)


def many_connections(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.url, timeout=10, limits=httpx.Limits(max_connections=None))


def open_sockets(stack: Stack) -> int:
    """Count the open TCP connections in the web container."""
    table = stack.docker("exec", stack.flask, "cat", "/proc/net/tcp")
    return sum(line.split()[3] == "01" for line in table.splitlines()[1:])


def test_the_dashboard_is_told_rows_samples_and_the_panel_compressed(stack: Stack) -> None:
    awaited = {"jobs", "sample", "panel", "row"}
    with stack.http.stream("GET", "/flask/live") as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        task_id = stack.submit_heavy()
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                awaited.discard(value)
            if f'id="job-{task_id}"' in line:
                assert line.startswith("data: ")
                awaited.discard("row")
            if not awaited:
                break


def test_more_changes_than_anybody_reads_are_told_as_the_newest_page(stack: Stack) -> None:
    with stack.http.stream("GET", "/flask/live", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: stack.submit_heavy(), range(400)))
        rows = 0
        lines = answer.iter_lines()
        assert any(line == "event: reset" for line in lines)
        for line in lines:
            if not line:
                break
            rows += line.count('id="job-')
    assert rows == 50
