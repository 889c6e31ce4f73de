"""Queues and workers as the API and the pages show them, with a real ledger and no RabbitMQ."""

import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from jobs.ledger import autoscaler, moves, queries, samples, workers
from jobs.ledger.autoscaler import Autoscaler
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Outcome, QueueSample
from tests.support.databases import on_sqlite

BROWSER = {"Accept": "text/html"}


@pytest.fixture(autouse=True)
def _registered(ledger: Ledger) -> None:
    """Two workers, of which one runs a job and has run two; and a job of another worker, with a similar name."""
    with ledger.writing() as connection:
        workers.register(connection, "w/1", "w", "heavy,arithmetic", 8)
        workers.register(connection, "w_2/1", "w_2", "heavy", 4)
        workers.renew_lease(connection, "w/1", 100 * 2**20, 512 * 2**20)
        for worker, ends in (("w/0", True), ("w/1", True), ("w/1", False), ("w_2/1", True)):
            new = NewJob(type="heavy", queue="heavy", params={})
            moves.add(connection, new)
            moves.claim(connection, [new.id], worker)
            if ends:
                moves.succeed(connection, Outcome(job_id=new.id, attempt=1, result=worker, ended_at=time.time()))


def get(client: FlaskClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_json()


def test_workers_are_listed(client: FlaskClient) -> None:
    first, second = get(client, "/flask/workers")["data"]
    assert (first["name"], first["running"], first["concurrency"]) == ("w", 1, 8)
    assert (first["memory"], first["memory_limit"]) == (100 * 2**20, 512 * 2**20)
    assert (second["name"], second["queues"], second["memory"], second["alive"]) == ("w_2", ["heavy"], None, True)
    page = client.get("/flask/workers", headers=BROWSER).text
    assert "100 MB" in page
    assert 'href="/flask/workers/w_2"' in page


def test_a_worker_has_its_jobs_also_those_before_its_last_start(client: FlaskClient) -> None:
    found = get(client, "/flask/workers/w")
    assert [job["worker"] for job in found["running_jobs"]] == ["w"]
    assert [job["result"] for job in found["recent_jobs"]] == ["w/1", "w/0"]
    page = client.get("/flask/workers/w", headers=BROWSER).text
    assert all(f'href="/flask/tasks/{job["task_id"]}"' in page for job in found["running_jobs"] + found["recent_jobs"])
    assert "100 MB of 512 MB" in page


@on_sqlite
def test_the_recent_jobs_are_found_by_an_index(ledger: Ledger) -> None:
    asked: list[tuple[str, Any]] = []
    with ledger.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        assert len(queries.ended_last_in(connection, "w", 1)) == 1
        statement, values = asked[0]
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all())
    assert "SEARCH job USING INDEX job_ended" in plan
    assert "SEARCH job USING INTEGER PRIMARY KEY" in plan


@pytest.mark.parametrize("path", ["/flask/workers/w/drain", "/flask/ui/workers/w/drain"])
def test_a_drained_worker_takes_no_more_jobs(client: FlaskClient, ledger: Ledger, path: str) -> None:
    assert client.post(path).status_code in (200, 303)
    with ledger.reading() as connection:
        assert {worker.name: worker.queues for worker in workers.registered(connection)} == {"w": "", "w_2": "heavy"}
    with ledger.writing() as connection:
        assert workers.renew_lease(connection, "w/1") == "", "so its steward is told"
    assert get(client, "/flask/workers/w")["queues"] == []
    page = client.get("/flask/workers/w", headers=BROWSER).text
    assert "ops/retire_workers.sh w</code>" in page
    assert "/drain" not in page
    assert client.post(path.replace("/w/", "/x/")).status_code == 404


def test_the_autoscaler_says_how_it_stands(client: FlaskClient, ledger: Ledger) -> None:
    assert get(client, "/flask/autoscaler")["status"] == "never started"
    page = client.get("/flask/autoscaler", headers=BROWSER).text
    assert "ops/autoscale.sh --min 1 --max 8" in page
    began = time.time() - 60
    now = Autoscaler(
        queues="heavy,export",
        min_workers=1,
        max_workers=4,
        wait=15,
        cooldown=120,
        workers=2,
        wanted=4,
        started_at=began,
        seen_at=time.time(),
    )
    with ledger.writing() as connection:
        autoscaler.looked(connection, now, "1 -> 2 workers: <9> jobs wait", "2 -> 4 workers: more jobs wait")
    found = get(client, "/flask/autoscaler")
    assert (found["status"], found["queues"], found["workers"], found["wanted"]) == ("runs", ["heavy", "export"], 2, 4)
    assert [line["text"] for line in found["lines"]] == [
        "2 -> 4 workers: more jobs wait",
        "1 -> 2 workers: <9> jobs wait",
    ]
    page = client.get("/flask/autoscaler", headers=BROWSER).text
    assert 'data-only="heavy export"' in page
    assert "1 -&gt; 2 workers: &lt;9&gt; jobs wait" in page
    with ledger.writing() as connection:
        autoscaler.ended(connection, began)
    assert get(client, "/flask/autoscaler")["status"] == "ended"
    again = "ops/autoscale.sh --min 1 --max 4 --queues heavy,export --wait 15 --cooldown 120"
    assert again in client.get("/flask/autoscaler", headers=BROWSER).text
    for path in ("/flask/workers", "/flask/queues"):
        assert 'href="/flask/autoscaler"' in client.get(path, headers=BROWSER).text


def test_a_queue_has_its_kinds_and_its_workers(client: FlaskClient) -> None:
    found = get(client, "/flask/queues/arithmetic")
    assert (found["name"], found["workers"], found["unfinished"]) == ("arithmetic", ["w"], 0)
    assert "divide" in found["kinds"]
    assert found["rabbitmq"].startswith("RabbitMQ does not answer")
    page = client.get("/flask/queues/heavy", headers=BROWSER).text
    assert 'href="/flask/workers/w"' in page
    assert 'href="/flask/kinds/heavy"' in page
    assert 'action="/flask/ui/queues/heavy/pause?page=queue"' in page


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_unknown_queues_and_workers_are_problems(client: FlaskClient, headers: dict[str, str]) -> None:
    for path in ("/flask/queues/slow", "/flask/workers/x", "/flask/workers/w%2F1"):
        assert client.get(path, headers=headers).status_code == 404
    assert client.get("/flask/queues/history?window=2h").status_code == 422


def test_the_history_goes_back_an_hour_in_means_of_ten_seconds_and_a_day_in_means_of_five_minutes(
    client: FlaskClient, ledger: Ledger
) -> None:
    # Five minutes that are over, and in them two samples in one slot of ten seconds.
    began = (time.time() - 900) // 300 * 300
    with ledger.writing() as connection:
        for after, jobs in ((0, 10), (4, 20), (60, 60), (300, 8)):
            sample = QueueSample(
                at=began + after,
                name="heavy",
                ready=None if jobs == 10 else jobs,
                unacknowledged=1,
                consumers=1,
                unfinished=jobs,
                scheduled=0,
                in_rate=0.5,
                out_rate=jobs / 2,
            )
            samples.record(connection, [sample])

    def heavy(window: str) -> list[tuple[float, int, int, float]]:
        recorded = get(client, f"/flask/queues/history?window={window}")["data"]
        queues = [(each["at"] - began, each["queues"]["heavy"]) for each in recorded]
        return [(at, queue["unfinished"], queue["ready"], queue["out_rate"]) for at, queue in queues]

    assert heavy("1h") == [(4, 15, 20, 7.5), (60, 60, 60, 30), (300, 8, 8, 4)]
    assert heavy("24h") == [(60, 35, 60, 17.5), (300, 8, 8, 4)], "of each minute the first one"
