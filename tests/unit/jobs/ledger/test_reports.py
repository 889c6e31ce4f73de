"""What runs report of their progress: some of it is kept, and goes with the job."""

import time
from typing import Any

from jobs.ledger import moves, reports
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob


def begun(ledger: Ledger, count: int = 1) -> list[str]:
    new = [NewJob(type="heavy", queue="heavy", params={}) for _ in range(count)]
    with ledger.writing() as connection:
        moves.add(connection, *new)
        moves.claim(connection, [each.id for each in new], "w")
    return [each.id for each in new]


def kept(ledger: Ledger, job_id: str) -> list[tuple[int, str]]:
    with ledger.reading() as connection:
        return [(told.run, str(told)) for told in reports.of_job(connection, job_id)]


def test_of_each_twentieth_the_first_report_is_kept_and_of_the_beginning_none(ledger: Ledger) -> None:
    (job_id,) = begun(ledger)
    with ledger.writing() as connection:
        for percent in (*range(101), 100):
            assert moves.report_progress(connection, job_id, 1, {"percent": percent, "message": f"row {percent}"})
    expected = [f"{percent} %, row {percent}" for percent in (1, *range(5, 100, 5))]
    assert kept(ledger, job_id) == [(1, text) for text in expected]
    assert len(expected) == reports.PARTS


def test_each_run_has_reports_of_its_own_and_one_that_is_over_has_no_more(ledger: Ledger) -> None:
    (job_id,) = begun(ledger)
    told: list[dict[str, Any]] = [
        {"percent": 50, "message": "x" * 1000},
        {"percent": 50},
        {"percent": 60, "message": 7},
    ]
    with ledger.writing() as connection:
        moves.report_progress(connection, job_id, 1, told[0])
        moves.retry_later(connection, job_id, "Not yet.", 0, attempt=1)
        moves.claim(connection, [job_id], "w")
        assert not moves.report_progress(connection, job_id, 1, {"percent": 90})
        moves.report_progress(connection, job_id, 2, told[1])
        moves.report_progress(connection, job_id, 2, told[2])
    assert kept(ledger, job_id) == [(1, f"50 %, {'x' * reports.LONGEST}"), (2, "50 %"), (2, "60 %, 7")]


def test_they_go_with_their_job(ledger: Ledger) -> None:
    expired, failed, stays = begun(ledger, 3)
    with ledger.writing() as connection:
        for job_id in (expired, failed, stays):
            moves.report_progress(connection, job_id, 1, {"percent": 50})
        moves.fail(connection, failed, "error", attempt=1)
        group = connection.exec_driver_sql("SELECT failure FROM job WHERE failure IS NOT NULL").scalar_one()
        assert moves.delete_failed(connection, group, time.time() + 1, 10) == 1
        moves.cancel(connection, expired)
        assert moves.expire(connection, time.time() + 1, 10) == 1
    assert [kept(ledger, job_id) for job_id in (expired, failed, stays)] == [[], [], [(1, "50 %")]]


def test_a_message_with_what_no_database_takes_does_not_stop_the_run(ledger: Ledger) -> None:
    (job_id,) = begun(ledger)
    with ledger.writing() as connection:
        assert moves.report_progress(connection, job_id, 1, {"percent": 50, "message": "a\0b\ud800"})
    assert kept(ledger, job_id) == [(1, "50 %, a?b?")]
