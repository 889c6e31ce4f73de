"""The story of a job, from a ledger and from lines as the containers write them."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from jobs.commands.story import in_order, missing, told_by_ledger, told_by_logs
from jobs.commands.trace import NoSuchJob, as_json, as_text, find, trace
from jobs.ledger import attempts, moves, reports
from jobs.ledger.database import Ledger
from jobs.ledger.records import Job, NewJob, Outcome

#: 2026-03-01 12:00:00 UTC.
NOON = 1772366400.0
ID = "7ddf6c1a-5b7e-4f83-a3ed-8a5b3c9f62b6"
OTHER = "00000000-5b7e-4f83-a3ed-8a5b3c9f62b6"


def job(**changed: Any) -> Job:
    """Return a job as its row has it after its only run."""
    row: dict[str, Any] = {
        "seq": 1,
        "id": ID,
        "type": "heavy",
        "queue": "heavy",
        "params": {},
        "state": "SUCCESS",
        "priority": 0,
        "submitted_by": None,
        "request_id": "r-1",
        "created_at": NOON + 0.0005,
        "run_at": None,
        "due_at": None,
        "published_at": None,
        "started_at": NOON + 0.006,
        "ended_at": NOON + 1.0075,
        "attempts": 1,
        "retries": 0,
        "deaths": 0,
        "worker": "my_celery_container/12345678",
        "progress": 100,
        "info": None,
        "result": 1,
        "error": None,
        "retry_of": None,
        "failure": None,
    }
    return Job(**(row | changed))


def line(container: str, milliseconds: float, event: str, level: str = "INFO", **fields: Any) -> str:
    micro = f"{milliseconds * 1000 % 1_000_000:06.0f}"
    time = f"2026-03-01T12:00:{int(milliseconds / 1000):02}.{micro}+00:00"
    return f"{container} {json.dumps({'time': time, 'level': level, 'event': event, **fields})}"


def request(milliseconds: float, method: str, path: str, task_id: str = "", **fields: Any) -> str:
    usual: dict[str, Any] = {"request_id": "r-1", "status": 202, "seconds": 0.004, "client": "10.0.0.1"}
    return line("nginx", milliseconds, "request", method=method, path=path, task_id=task_id, **(usual | fields))


def run(milliseconds: float, event: str, attempt: int = 1, **fields: Any) -> str:
    usual: dict[str, Any] = {"task_id": ID, "task_type": "heavy", "attempt": attempt, "request_id": "r-1"}
    return line("worker", milliseconds, event, **(usual | fields))


#: In the order in which containers are asked for their logs, which is not that in which things happened.
LINES = [
    "worker no JSON at all, though it says " + ID,
    'worker {"half": "' + ID,
    'worker ["' + ID + '"]',
    run(8, "started"),
    run(1009, "succeeded", seconds=1.0011),
    run(9, "started", task_id=OTHER),
    line("flask", 5.2, "published", seconds=0.0012, jobs={ID: "r-1", OTHER: "r-2"}),
    request(4, "POST", "/flask/heavy", ID),
    request(2000, "GET", f"/flask/tasks/{ID}", request_id="r-9"),
]


def whats(lines: Iterable[str], of: Job | None = None) -> list[tuple[str, str]]:
    return [(moment.where, moment.what) for moment in in_order(told_by_logs(of or job(), lines))]


def test_a_story_is_told_in_order_whatever_the_order_of_the_lines() -> None:
    story, notes = trace(job(), [], LINES, everything=False)
    assert [(moment.milliseconds - int(NOON * 1000), moment.where, moment.what) for moment in story] == [
        (0, "nginx", "POST /flask/heavy from 10.0.0.1"),
        (0, "ledger", "accepted for the queue heavy"),
        (4, "nginx", "answered 202 after 4 ms"),
        (4, "flask", "published with 1 others, confirmed after 1 ms"),
        (6, "ledger", "attempt 1 claimed by my_celery_container"),
        (8, "worker", "attempt 1 started"),
        (1007, "ledger", "SUCCESS"),
        (1009, "worker", "attempt 1 succeeded after 1001 ms"),
    ]
    assert notes == ["Left out: 1 requests that only looked at the job. To see them: --all"]


def test_all_of_it_includes_requests_that_only_looked_at_the_job() -> None:
    story, notes = trace(job(), [], LINES, everything=True)
    assert [moment.what for moment in story][-2:] == [
        f"GET /flask/tasks/{ID} from 10.0.0.1",
        "answered 202 after 4 ms",
    ]
    assert notes == []


def test_a_request_that_changes_the_job_is_part_of_its_story() -> None:
    cancelled = request(9, "DELETE", f"/flask/tasks/{ID}", request_id="r-2", status=200)
    again = request(19, "POST", f"/flask/tasks/{ID}/retry", OTHER, request_id="r-3")
    assert [what for _, what in whats([again, cancelled])] == [
        f"DELETE /flask/tasks/{ID} from 10.0.0.1",
        "answered 200 after 4 ms",
        f"POST /flask/tasks/{ID}/retry from 10.0.0.1",
        f"answered 202 after 4 ms, job {OTHER}",
    ]


def test_other_jobs_of_the_same_request_are_other_stories() -> None:
    assert whats([run(1, "started", task_id=OTHER), line("flask", 2, "published", jobs={OTHER: "r-1"})]) == []


def test_a_request_that_made_another_job_under_the_same_id_is_left_aside() -> None:
    (asked, answered) = told_by_logs(job(), [request(1, "POST", "/flask/heavy", OTHER)])
    assert (asked.aside, answered.aside) == (True, True)


def test_a_request_that_made_many_jobs_is_known_by_its_id() -> None:
    (asked, _) = told_by_logs(job(), [request(1, "POST", "/flask/tasks/batch")])
    assert (asked.what, asked.aside) == ("POST /flask/tasks/batch from 10.0.0.1", False)


def test_any_line_that_names_the_job_is_told_with_its_level() -> None:
    lines = [
        line("worker", 1, f"Hard time limit (5s) exceeded for heavy[{ID}]", "ERROR", logger="celery.worker.request"),
        line("beat", 2, "made by its schedule", task_id=ID, task_type="heavy", schedule="nightly"),
        line("worker", 3, "half way", task_id=ID, attempt=1, logger="tasks.heavy"),
    ]
    assert whats(lines) == [
        ("worker", f"ERROR: Hard time limit (5s) exceeded for heavy[{ID}]"),
        ("beat", "made by its schedule nightly"),
        ("worker", "half way"),
    ]


def test_a_job_without_a_request_has_no_lines_of_others() -> None:
    alone = job(request_id=None)
    assert whats([line("worker", 1, "ready", note=ID)], alone) == []


def test_a_log_that_is_gone_is_noted() -> None:
    notes = list(missing(job(), [], []))
    assert len(notes) == 2
    assert notes[0].startswith("No line of Nginx tells of the request: its container was removed")
    assert notes[1].startswith("No line of my_celery_container tells of attempt 1: its container was removed")
    assert list(missing(job(request_id=None, worker=None), [], [])) == []


def test_the_ledger_tells_of_every_attempt(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        new = NewJob(type="heavy", queue="heavy", params={}, request_id="r-1")
        moves.add(connection, new)
        assert moves.claim(connection, [new.id], "one/1")[new.id].request_id == "r-1"
        assert moves.retry_later(connection, new.id, "not yet", 0, attempt=1)
        assert moves.claim(connection, [new.id], "two/2")[new.id].request_id == "r-1"
        assert moves.report_progress(connection, new.id, 2, {"percent": 40, "message": "4 of 10"})
        assert moves.succeed(connection, Outcome(job_id=new.id, attempt=2))
        found = find(connection, new.id)
        past, progress = attempts.past(connection, new.id), reports.of_job(connection, new.id)
    assert sorted(moment.what for moment in told_by_ledger(found, past, progress)) == [
        "SUCCESS",
        "accepted for the queue heavy",
        "attempt 1 claimed by one",
        "attempt 1 ended: not yet",
        "attempt 2 claimed by two",
        "attempt 2 reported 40 %, 4 of 10",
    ]


def test_the_beginning_of_an_id_is_enough_if_it_is_long_and_unique(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        for job_id in (ID, OTHER, ID[:10] + "0" * 26):
            moves.add(connection, NewJob(id=job_id, type="heavy", queue="heavy", params={}))
        assert find(connection, ID).id == ID
        assert find(connection, OTHER[:8]).id == OTHER
        assert find(connection, ID[:11]).id == ID
        for wanted, why in [
            (ID[:10], "several jobs"),
            (OTHER[:7], "too short"),
            ("f" * 8, "no job"),
            ("\0" * 8, "no job"),
            ("", "too short"),
        ]:
            with pytest.raises(NoSuchJob, match=why):
                find(connection, wanted)


def test_for_people_each_line_has_its_time_and_the_gap_before_it() -> None:
    story, notes = trace(job(), [], LINES, everything=False)
    text = as_text(job(), story, notes).splitlines()
    assert text[:5] == [
        f"heavy {ID}: SUCCESS, request r-1",
        "",
        "2026-03-01 12:00:00.000               nginx   POST /flask/heavy from 10.0.0.1",
        "2026-03-01 12:00:00.000        +0 ms  ledger  accepted for the queue heavy",
        "2026-03-01 12:00:00.004        +4 ms  nginx   answered 202 after 4 ms",
    ]
    assert text[9] == "2026-03-01 12:00:01.009        +2 ms  worker  attempt 1 succeeded after 1001 ms"
    assert text[10:] == ["", *notes]


def test_for_programs_it_is_json() -> None:
    story, notes = trace(job(), [], LINES, everything=False)
    told = json.loads(as_json(job(), story, notes))
    assert told.keys() == {"task_id", "task_type", "state", "request_id", "story", "notes"}
    assert told["story"][4] == {
        "time": "2026-03-01T12:00:00.006+00:00",
        "gap_ms": 2,
        "where": "ledger",
        "what": "attempt 1 claimed by my_celery_container",
        "line": None,
    }
    assert told["story"][5]["line"]["task_id"] == ID
