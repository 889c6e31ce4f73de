"""Each kind of job runs to its end, tells how far it is, and has the result that is promised."""

import csv
import io
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.project import ROOT
from tests.support.stack import Stack, wait_until


def result_of(stack: Stack, task_type: str, **parameters: Any) -> Any:
    return stack.wait_state(stack.submit(task_type, **parameters), "SUCCESS")["result"]


@pytest.mark.parametrize(
    ("task_type", "parameters", "result"),
    [
        ("add", {"a": 12, "b": 4}, "16"),
        ("add", {"a": 0.5, "b": 0.25}, "0.75"),
        ("divide", {"a": 64, "b": 4}, "16"),
        ("divide", {"a": 1, "b": 8}, "0.125"),
        ("text", {"text": "Größe", "repeat": 3}, "GRÖSSE GRÖSSE GRÖSSE"),
        ("text", {"text": "once"}, "ONCE"),
        ("heavy", {"seconds": 0.5}, "This task took 0.5 seconds."),
    ],
)
def test_small_jobs(stack: Stack, task_type: str, parameters: dict[str, Any], result: str) -> None:
    found = result_of(stack, task_type, **parameters)
    assert str(found) == result  # 16, not 16.0
    assert isinstance(found, str) == (task_type in ("text", "heavy"))


def test_division_by_zero_is_told_in_a_sentence(stack: Stack) -> None:
    task_id = stack.submit("divide", a=1, b=0)
    assert stack.wait_state(task_id, "FAILURE")["result"] == "Division by zero: b must not be 0."


@pytest.mark.parametrize(
    ("task_type", "parameters"),
    [("divide", {"a": 1, "b": 3}), ("csv_processing", {"num_rows": 100, "processing_time": 5})],
)
def test_progress_is_shown_while_a_job_runs(stack: Stack, task_type: str, parameters: dict[str, Any]) -> None:
    task_id = stack.submit(task_type, **parameters)
    seen: list[tuple[int, str]] = []

    def look() -> bool:
        job = stack.http.get(f"/flask/tasks/{task_id}").json()
        if job["state"] == "PROGRESS":
            assert job["info"]["percent"] == job["progress"]
            assert job["ready"] is False
            seen.append((job["progress"], job["info"]["message"]))
        return bool(job["ready"])

    wait_until(look, 20, "the job has ended", interval=0.05)
    percents = [percent for percent, _ in seen]
    assert len(set(percents)) >= 3
    assert percents == sorted(percents)
    assert all(message for _, message in seen)


def test_rows_are_processed_and_described(stack: Stack) -> None:
    started = time.monotonic()
    result = result_of(stack, "csv_processing", num_rows=1000, processing_time=5)
    assert time.monotonic() - started >= 5
    assert set(result) == {"sum", "average", "min", "max", "row_count"}
    assert result["row_count"] == 1000
    assert result["average"] == pytest.approx(result["sum"] / 1000, abs=0.0001)
    assert 0 <= result["min"] < result["average"] < result["max"] <= 1000


def test_images_are_made_and_resized(stack: Stack) -> None:
    result = result_of(stack, "image_processing", num_images=20, width=2000, height=2000)
    assert result["count"] == 20
    assert [image["number"] for image in result["images"]] == list(range(1, 21))
    for image in result["images"]:
        assert image["size"] == [2000, 2000]
        assert image["original_size"] != [2000, 2000]
        assert image["format"] == "JPEG"
        assert image["bytes"] > 10_000


# --- exports ---------------------------------------------------------------------------------------------------------


def table(answer: httpx.Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.content.decode(), newline="")))


def test_todos_are_exported_and_downloaded(stack: Stack) -> None:
    mark = uuid.uuid4().hex
    texts = [f"buy milk {mark}", f"=1+1 {mark}", f'Ä "quote", a\nnewline {mark}', f"done {mark.upper()}"]
    made = [stack.http.post("/flask/todos", json={"text": text}).json() for text in texts]
    stack.http.patch(f"/flask/todos/{made[3]['id']}", json={"done": True})

    task_id = stack.submit("export", filters={"text": mark})
    result = stack.wait_state(task_id, "SUCCESS")["result"]
    assert result == {"csv_path": f"/exports/{task_id}.csv", "count": 4}
    assert stack.http.get(f"/flask/tasks/{task_id}").json()["info"] == result

    answer = stack.http.get(f"/flask/download/{task_id}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="todos-{task_id}.csv"'
    head, *lines = table(answer)
    assert head == ["id", "text", "done", "created_at"]
    assert [int(line[0]) for line in lines] == [todo["id"] for todo in made]
    assert [line[1] for line in lines] == [texts[0], f"'{texts[1]}", *texts[2:]]
    assert [line[2] for line in lines] == ["false", "false", "false", "true"]
    assert [line[3] for line in lines] == [todo["created_at"] for todo in made]

    part = stack.http.get(f"/flask/download/{task_id}", headers={"Range": "bytes=3-6"})
    assert (part.status_code, part.content) == (206, answer.content[3:7])
    assert part.headers["Content-Range"] == f"bytes 3-6/{len(answer.content)}"
    beyond = stack.http.get(f"/flask/download/{task_id}", headers={"Range": "bytes=1000000-"})
    assert beyond.status_code == 416
    assert beyond.json()["status"] == 416
    known = stack.http.get(f"/flask/download/{task_id}", headers={"If-None-Match": answer.headers["ETag"]})
    assert known.status_code == 304
    # There is no other way to the file.
    assert stack.http.get(f"/.exports/{task_id}.csv").status_code == 404
    assert stack.http.get(f"/exports/{task_id}.csv").status_code == 404

    done = result_of(stack, "export", filters={"text": mark, "done": True})
    assert done["count"] == 1
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert result_of(stack, "export", filters={"text": mark, "created_from": later.isoformat()})["count"] == 0
    assert result_of(stack, "export", filters={"text": mark, "created_to": later.isoformat()})["count"] == 4


def test_there_is_nothing_to_download_before_an_export_has_succeeded(stack: Stack) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answer = stack.http.post("/flask/tasks", json={"task_type": "export", "run_at": later})
    task_id = answer.json()["task_id"]
    answer = stack.http.get(f"/flask/download/{task_id}")
    assert (answer.status_code, answer.json()["state"]) == (409, "PENDING")
    stack.http.delete(f"/flask/tasks/{task_id}")
    answer = stack.http.get(f"/flask/download/{task_id}")
    assert (answer.status_code, answer.json()["state"]) == (409, "REVOKED")


def test_there_is_nothing_to_download_of_other_jobs(stack: Stack) -> None:
    added = stack.submit("add", a=1, b=2)
    stack.wait_state(added, "SUCCESS")
    for task_id in (added, "unknown", "..%2F..%2Fdb%2Fbackend.db"):
        assert stack.http.get(f"/flask/download/{task_id}").status_code == 404


def test_a_file_expires(stack: Stack) -> None:
    task_id, kept = stack.submit("export", filters={"text": "no such text"}), stack.submit("export")
    stack.wait_state(task_id, "SUCCESS")
    stack.wait_state(kept, "SUCCESS")
    stack.docker("exec", stack.celery, "touch", "--date=25 hours ago", f"/exports/{task_id}.csv")
    stack.docker("exec", stack.beat, "python", "-c", "from jobs.exports import store; list(store.remove_expired())")
    answer = stack.http.get(f"/flask/download/{task_id}")
    assert answer.status_code == 410
    assert "expired" in answer.json()["detail"]
    assert stack.http.get(f"/flask/download/{kept}").status_code == 200


@contextmanager
def many_todos(stack: Stack) -> Iterator[str]:
    """Let there be 100,000 to-dos for a while; yield what their texts have in common."""
    mark = uuid.uuid4().hex
    insert = (
        "from sqlalchemy import insert; from jobs.ledger.database import ledger; from jobs.ledger.schema import todo\n"
        f"rows = [dict(text=f'{{n}} {mark} ' + 'x' * 300, done=False, created_at=n) for n in range(100_000)]\n"
        "with ledger().writing() as connection: connection.execute(insert(todo), rows)"
    )
    delete = (
        "from sqlalchemy import delete; from jobs.ledger.database import ledger; from jobs.ledger.schema import todo\n"
        f"with ledger().writing() as connection: connection.execute(delete(todo).where(todo.c.text.contains('{mark}')))"
    )
    stack.docker("exec", stack.celery, "python", "-c", insert)
    try:
        yield mark
    finally:
        stack.docker("exec", stack.celery, "python", "-c", delete)


def test_100_000_todos_are_exported_in_seconds(stack: Stack) -> None:
    with many_todos(stack) as mark:
        task_id = stack.submit("export", filters={"text": mark})
        assert stack.wait_state(task_id, "SUCCESS")["result"]["count"] == 100_000
    lines = table(stack.http.get(f"/flask/download/{task_id}"))
    assert len(lines) == 100_001
    assert len({line[0] for line in lines}) == 100_001


# --- mails -----------------------------------------------------------------------------------------------------------

PASSWORD = "pass/w@rd"

#: Starts the mail server anew with the options of smtp_sink.py, or only stops it: (options, or None).
Serve = Callable[[dict[str, Any] | None], None]


def test_without_a_server_mails_are_recorded(stack: Stack) -> None:
    task_id = stack.submit("email_sending", num_emails=2, subject="Grüße")
    result = stack.wait_state(task_id, "SUCCESS")["result"]
    assert result == {
        "sent": 2,
        "failed": 0,
        "uncertain": 0,
        "mode": "recorded",
        "mails": [
            {
                "to": f"user{number}@example.com",
                "subject": "Grüße",
                "message_id": f"<{task_id}.{number}@warren.example.com>",
            }
            for number in (1, 2)
        ],
    }


@pytest.fixture(scope="module")
def mail_server(stack: Stack) -> Iterator[Serve]:
    """Give the workers a mail server, and return what starts it with other options."""
    name = f"{stack.prefix}_smtp_sink"

    def serve(options: dict[str, Any] | None) -> None:
        stack.docker("rm", "--force", name, check=False)
        if options is not None:
            chosen = [f"{option}={value}" for option, value in (options | {"password": PASSWORD}).items()]
            sink = f"--volume={ROOT}/tests/support/smtp_sink.py:/smtp_sink.py:ro"
            stack.docker(
                # Without the image's label: it is no container of the stack.
                *("run", "--detach", "--name", name, "--label=warren.stack=", "--network", stack.network),
                *("--no-healthcheck", sink, f"{stack.prefix}_celery", "python", "/smtp_sink.py", *chosen),
            )
            listens = ("exec", name, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/2525 && echo yes")
            wait_until(lambda: stack.docker(*listens), 10, "the mail server listens")

    stack.run("./build.sh", SMTP_URL=f"smtp://warren:pass%2Fw%40rd@{name}:2525")
    try:
        yield serve
    finally:
        serve(None)
        stack.run("./build.sh")


def message_ids(stack: Stack) -> list[str]:
    return stack.docker("logs", f"{stack.prefix}_smtp_sink").split()


def test_mails_are_sent_and_a_refused_one_is_counted(stack: Stack, mail_server: Serve) -> None:
    mail_server({"refuse": "user2@"})
    task_id = stack.submit("email_sending", num_emails=3, subject="Grüße")
    result = stack.wait_state(task_id, "SUCCESS")["result"]
    assert result == {"sent": 2, "failed": 1, "uncertain": 0, "mode": "smtp"}
    assert message_ids(stack) == [f"<{task_id}.{number}@warren.example.com>" for number in (1, 3)]


def test_no_mail_is_sent_twice_when_the_worker_is_killed_in_the_middle(stack: Stack, mail_server: Serve) -> None:
    # The server has the second mail and has not said so: the moment in which nobody can know.
    mail_server({"slow": 3})
    task_id = stack.submit("email_sending", num_emails=4)
    wait_until(lambda: len(message_ids(stack)) == 2, 30, "the second mail is on its way", interval=0.05)
    stack.kill(stack.celery)
    result = stack.wait_state(task_id, "SUCCESS", timeout=120)["result"]
    assert result == {"sent": 3, "failed": 0, "uncertain": 1, "mode": "smtp"}
    assert message_ids(stack) == [f"<{task_id}.{number}@warren.example.com>" for number in (1, 2, 3, 4)]
    assert stack.ledger("SELECT attempts, retries FROM job WHERE id = ?", task_id) == [(2, 0)]
    stack.wait_healthy()


def test_a_job_waits_for_a_mail_server_that_comes_back(stack: Stack, mail_server: Serve) -> None:
    mail_server(None)
    task_id = stack.submit("email_sending", num_emails=1)
    stack.wait_state(task_id, "RETRY")
    mail_server({})
    assert stack.wait_state(task_id, "SUCCESS", timeout=60)["result"]["sent"] == 1
    assert len(message_ids(stack)) == 1


def test_a_mail_server_that_stays_away_fails_the_job_with_a_sentence(stack: Stack, mail_server: Serve) -> None:
    mail_server(None)
    task_id = stack.submit("email_sending", num_emails=1)
    result = stack.wait_state(task_id, "FAILURE", timeout=120)["result"]
    assert result.startswith(f"The mail server {stack.prefix}_smtp_sink cannot be used: ")
    assert PASSWORD not in result


def test_the_mail_servers_password_is_nowhere_but_in_its_file(stack: Stack, mail_server: Serve) -> None:
    details = stack.docker("inspect", *stack.containers())
    assert "pass%2Fw%40rd" not in details
    assert "pass%2Fw%40rd" not in stack.docker("exec", stack.celery, "env")
    secret = "/run/secrets/smtp_url"
    assert stack.docker("exec", stack.celery, "stat", "--format=%a", secret) == "600"
    for other in (stack.flask, stack.nginx, stack.beat, stack.rabbitmq):
        assert stack.docker("exec", other, "bash", "-c", f"test -e {secret} && echo there", check=False) == ""
