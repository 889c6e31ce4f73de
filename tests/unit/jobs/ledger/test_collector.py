"""What the ledger says of the stack, looked up in a real one."""

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from jobs import __version__
from jobs.ledger import moves, pauses, queries, samples, workers
from jobs.ledger.collector import LedgerCollector
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, Outcome, QueueSample
from tests.support.databases import on_postgresql, on_sqlite
from tests.support.postgresql import Server

HOUR = 3600.0


def told(ledger: Ledger) -> dict[str, float]:
    """Return what Prometheus is told: the value of each figure, by its name and its label."""
    registry = CollectorRegistry()
    registry.register(LedgerCollector(ledger))
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def accept(ledger: Ledger, **more: Any) -> NewJob:
    new = NewJob(type="heavy", queue="heavy", params={}, **more)
    with ledger.writing() as connection:
        moves.add(connection, new)
    return new


def publish(ledger: Ledger, *jobs: NewJob) -> None:
    with ledger.writing() as connection:
        moves.mark_published(connection, [new.due for new in jobs])


def test_jobs_are_told_by_what_becomes_of_them(ledger: Ledger) -> None:
    new = [accept(ledger, created_at=time.time() - 100) for _ in range(5)]
    accept(ledger, run_at=time.time() + HOUR)
    publish(ledger, *new[1:])
    with ledger.writing() as connection:
        moves.claim(connection, [job.id for job in new[2:]], "w1")
        moves.succeed(connection, Outcome(job_id=new[2].id, attempt=1, result=0))
        moves.report_progress(connection, new[3].id, 1, {"percent": 5})
    figures = told(ledger)
    assert figures["warren_backlog_jobs heavy"] == 4
    assert figures["warren_scheduled_jobs heavy"] == 1
    assert figures["warren_running_jobs"] == 2
    # The first one has not been published, and had a grace of five seconds for that.
    assert figures["warren_outbox_jobs"] == 1
    assert figures["warren_outbox_age_seconds"] == pytest.approx(95, abs=5)
    assert figures["warren_oldest_waiting_seconds heavy"] == pytest.approx(100, abs=5)
    for name in ("backlog_jobs", "scheduled_jobs", "oldest_waiting_seconds"):
        assert figures[f"warren_{name} export"] == figures[f"warren_{name} arithmetic"] == 0


def test_an_empty_ledger_is_told_as_such(ledger: Ledger) -> None:
    figures = told(ledger)
    assert figures[f"warren_build_info {__version__}"] == figures["warren_ledger_up"] == 1
    assert figures["warren_outbox_jobs"] == figures["warren_outbox_age_seconds"] == 0
    assert figures["warren_workers"] == figures["warren_worker_places"] == 0
    assert "warren_beat_last_tick_timestamp_seconds" not in figures


def test_a_job_waits_from_the_moment_at_which_it_could_start(ledger: Ledger) -> None:
    now = time.time()

    def waited() -> float:
        return told(ledger)["warren_oldest_waiting_seconds heavy"]

    accept(ledger, created_at=now - HOUR, run_at=now + HOUR)
    assert waited() == 0
    late = accept(ledger, created_at=now - HOUR, run_at=now - 30)
    assert waited() == pytest.approx(30, abs=5)
    publish(ledger, late)
    assert waited() == pytest.approx(30, abs=5)
    published = accept(ledger, created_at=now - 60)
    publish(ledger, published)
    assert waited() == pytest.approx(60, abs=5)
    with ledger.writing() as connection:
        moves.claim(connection, [published.id, late.id], "w1")
    assert waited() == 0


def test_jobs_of_a_paused_queue_are_neither_late_nor_forgotten(ledger: Ledger) -> None:
    accept(ledger, created_at=time.time() - 100)
    with ledger.writing() as connection:
        pauses.pause(connection, "heavy")
    paused = told(ledger)
    assert paused["warren_queue_paused heavy"] == paused["warren_backlog_jobs heavy"] == 1
    assert paused["warren_oldest_waiting_seconds heavy"] == 0
    assert paused["warren_outbox_jobs"] == paused["warren_outbox_age_seconds"] == 0
    with ledger.writing() as connection:
        pauses.resume(connection, "heavy")
    resumed = told(ledger)
    assert resumed["warren_queue_paused heavy"] == 0
    assert resumed["warren_oldest_waiting_seconds heavy"] == pytest.approx(100, abs=5)
    assert resumed["warren_outbox_jobs"] == 1


def test_a_retry_waits_from_the_end_of_its_back_off(ledger: Ledger) -> None:
    new = accept(ledger, created_at=time.time() - HOUR)
    with ledger.writing() as connection:
        moves.claim(connection, [new.id], "w1")
        moves.retry_later(connection, new.id, "again", time.time() - 20, attempt=1)
    assert told(ledger)["warren_oldest_waiting_seconds heavy"] == pytest.approx(20, abs=5)
    with ledger.writing() as connection:
        moves.mark_published(connection, queries.due(connection, 1))
    assert told(ledger)["warren_oldest_waiting_seconds heavy"] == pytest.approx(0, abs=5)


def test_only_workers_that_are_alive_count(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with ledger.writing() as connection:
        workers.register(connection, "a/1", "a", "heavy", 8)
        workers.register(connection, "b/1", "b", "heavy,export", 2)
        workers.register(connection, "dead/1", "dead", "heavy", 100)
        connection.exec_driver_sql("UPDATE worker SET seen_at = seen_at - 60 WHERE name = 'dead'")
    assert told(ledger)["warren_workers"] == 2
    assert told(ledger)["warren_worker_places"] == 10


def test_the_newest_sample_is_a_sign_of_life_of_beat(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        for at in (1000.0, 1002.0):
            sample = QueueSample(
                at=at, name="heavy", ready=0, unacknowledged=0, consumers=1, unfinished=0, scheduled=0,
                in_rate=0, out_rate=0,
            )  # fmt: skip
            samples.record(connection, [sample])
    assert told(ledger)["warren_beat_last_tick_timestamp_seconds"] == 1002


@on_sqlite
def test_the_disk_is_told_also_when_the_ledger_cannot_be_read(ledger: Ledger, tmp_path: Path) -> None:
    accept(ledger)
    figures = told(ledger)
    assert figures["warren_ledger_bytes"] == (tmp_path / "backend.db").stat().st_size > 0
    assert figures["warren_ledger_wal_bytes"] == (tmp_path / "backend.db-wal").stat().st_size > 0
    assert 0 < figures["warren_ledger_free_bytes"] <= figures["warren_ledger_disk_bytes"]
    with ledger.writing() as connection:
        connection.exec_driver_sql("DROP TABLE worker")
    figures = told(ledger)
    assert figures["warren_ledger_up"] == 0
    assert figures["warren_ledger_bytes"] > 0
    assert "warren_backlog_jobs heavy" not in figures
    (tmp_path / "backend.db").rename(tmp_path / "elsewhere.db")
    assert told(ledger) == {f"warren_build_info {__version__}": 1, "warren_ledger_up": 0}


@on_postgresql
def test_the_size_on_a_server_is_told_while_it_can_be_read(ledger: Ledger, server: Server) -> None:
    figures = told(ledger)
    assert figures["warren_ledger_bytes"] > 1e6
    assert "warren_ledger_wal_bytes" not in figures
    with server.outage(ledger.url):
        assert told(ledger) == {f"warren_build_info {__version__}": 1, "warren_ledger_up": 0}


def test_queues_and_kinds_that_somebody_has_made_up_make_no_new_figures(ledger: Ledger) -> None:
    before = told(ledger).keys()
    with ledger.writing() as connection:
        moves.add(connection, *(NewJob(type=f"kind {n}", queue=f"queue {n}", params={}) for n in range(20)))
    assert told(ledger).keys() == before


@on_sqlite
def test_no_question_reads_jobs_that_have_ended(ledger: Ledger) -> None:
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            raw = connection.connection.driver_connection
            plans.extend(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(ledger._engine, "before_cursor_execute", explain)
    told(ledger)
    of_jobs = [plan for plan in plans if " job" in plan]
    assert len(of_jobs) > 5
    assert [
        plan
        for plan in of_jobs
        if not plan.endswith(("INDEX job_open", "(state=? AND queue=?)", "job_due (due_at<?)", "job_due (due_at>?)"))
    ] == []
