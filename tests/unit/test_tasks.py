import csv
import io
import os
import smtplib
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import insert
from tasks import csv_processing, divide, email_sending, export, image_processing

from jobs import exports, task
from jobs.catalogue import ExportFilters
from jobs.errors import JobFailed
from jobs.ledger import mails, moves, todo_export
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.ledger.schema import mail, todo
from jobs.numbers import plain
from jobs.settings import settings
from tests.support.smtp_sink import Sink

JOB = "6f3c1c7e-2a5b-4f0e-9b57-0d6f6f1f6a11"


@pytest.mark.parametrize(
    ("number", "shown"), [(16.0, "16"), (-0.0, "0"), (0.5, "0.5"), (2e15, "2000000000000000"), (1e300, "1e+300")]
)
def test_integral_numbers_are_shown_as_integers(number: float, shown: str) -> None:
    assert str(plain(number)) == shown


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (1, 0.0, "Division by zero: b must not be 0."),
        (0, -0.0, "Division by zero: b must not be 0."),
        (1e15, 5e-324, "The quotient of 1e+15 and 4.94066e-324 is too large."),
    ],
)
def test_a_quotient_that_does_not_exist_is_told_in_a_sentence(a: float, b: float, sentence: str) -> None:
    with pytest.raises(JobFailed, match=sentence.replace("+", r"\+")):
        divide.quotient(a, b)


def test_a_quotient() -> None:
    assert divide.quotient(64, 4) == 16
    assert divide.quotient(1, 8) == 0.125


@given(st.lists(st.integers(0, 100_000), min_size=1))
def test_a_summary_says_what_the_rows_say(hundredths: list[int]) -> None:
    summary = csv_processing.Summary()
    for value in hundredths:
        summary.add(value)
    assert summary.described() == {
        "sum": sum(hundredths) / 100,
        "average": pytest.approx(sum(hundredths) / len(hundredths) / 100, abs=0.0001),
        "min": min(hundredths) / 100,
        "max": max(hundredths) / 100,
        "row_count": len(hundredths),
    }


def test_progress_reaches_the_ledger_at_most_every_fifth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(divide.divide, "update_state", lambda *, state, meta: told.append(meta))
    divide.divide.push_request()
    try:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            divide.divide.report(1.4, "on it", more=1)
    finally:
        divide.divide.pop_request()
    assert told == [{"percent": 1, "message": "on it", "more": 1}] * (1 + int(0.3 / task.REPORT_INTERVAL))


# --- images ----------------------------------------------------------------------------------------------------------


def test_an_image_is_made_and_resized() -> None:
    original = image_processing.made(1, (640, 480))
    copy = image_processing.resized(original, (100, 200))
    with Image.open(BytesIO(original)) as first, Image.open(BytesIO(copy)) as second:
        assert (first.size, second.size) == ((640, 480), (100, 200))
        assert first.format == second.format == "JPEG"
        extrema = second.convert("L").getextrema()
        assert extrema[0] != extrema[1]


@pytest.mark.parametrize("side", [1500, 2500, 20_000])
def test_an_image_bomb_is_refused_before_it_is_unpacked(side: int) -> None:
    buffer = BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    with pytest.raises(JobFailed, match="more than 2000000 pixels"):
        image_processing.resized(buffer.getvalue(), (100, 100))


# --- exports ---------------------------------------------------------------------------------------------------------


@given(st.text())
def test_no_cell_begins_a_formula_and_the_text_is_still_there(text: str) -> None:
    cell = export.harmless(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.endswith(text)
    assert len(cell) <= len(text) + 1


def test_a_line_is_csv_with_an_iso_time_in_utc(ledger: Ledger) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    text = '=HYPERLINK("http://x"), "a"\nb'
    with ledger.writing() as connection:
        connection.execute(insert(todo).values(text=text, done=True, created_at=moment.timestamp()))
    [(share, rows)] = todo_export.pages(ledger, ExportFilters())
    assert share == 1
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(export.line(rows[0]))
    buffer.seek(0)
    assert list(csv.reader(buffer)) == [["1", f"'{text}", "true", "2026-01-02T03:04:05+00:00"]]


@pytest.fixture
def todos(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(todo_export, "PAGE", 2)
    texts = ["Buy milk", "Äpfel", "100% sure", "1000 things", "buy bread"]
    with ledger.writing() as connection:
        for hour, text in enumerate(texts):
            created_at = datetime(2026, 1, 1, hour, tzinfo=UTC).timestamp()
            connection.execute(insert(todo).values(text=text, done=hour % 2 == 0, created_at=created_at))
    return ledger


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"done": True}, [1, 3, 5]),
        ({"done": False}, [2, 4]),
        ({"text": "BUY"}, [1, 5]),
        ({"text": "äp"}, [2]),
        ({"text": "0%"}, [3]),
        ({"text": "_"}, []),
        ({"created_from": "2026-01-01T02:00:00Z"}, [3, 4, 5]),
        ({"created_to": "2026-01-01T02:00:00Z"}, [1, 2]),
        ({"created_from": "2026-01-01T02:00:00+01:00", "created_to": "2026-01-01T03:00:00+00:00"}, [2, 3]),
        ({"done": True, "text": "buy", "created_from": "2026-01-01T01:00:00Z"}, [5]),
    ],
)
def test_filters_of_an_export(todos: Ledger, filters: dict[str, Any], ids: list[int]) -> None:
    chosen = ExportFilters.model_validate(filters)
    assert [row.id for _, rows in todo_export.pages(todos, chosen) for row in rows] == ids


def test_an_export_needs_no_more_memory_for_more_todos(ledger: Ledger) -> None:
    def peak() -> int:
        tracemalloc.start()
        try:
            exported = sum(len(rows) for _, rows in todo_export.pages(ledger, ExportFilters()))
            assert exported == len(rows_of_20_pages)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    rows_of_20_pages = [{"text": "x" * 500, "done": False, "created_at": 0.0}] * (20 * todo_export.PAGE)
    with ledger.writing(durable=False) as connection:
        connection.execute(insert(todo), rows_of_20_pages)
    # Two pages at most: the one that is being read, and the one before it.
    assert peak() < 2 * todo_export.PAGE * 2000


def test_todos_that_are_added_during_an_export_do_not_prolong_it(todos: Ledger) -> None:
    ids = []
    for _, rows in todo_export.pages(todos, ExportFilters()):
        ids += [row.id for row in rows]
        with todos.writing() as connection:
            connection.execute(insert(todo).values(text="new", done=False, created_at=0))
    assert ids == [1, 2, 3, 4, 5]


@pytest.fixture
def exports_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EXPORTS_DIR", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_a_file_appears_when_it_is_whole_and_what_dead_runs_left_goes(exports_dir: Path) -> None:
    (exports_dir / f"{JOB}.1.part").write_text("half")
    with exports.written(JOB, 2) as file:
        file.write("all of it\r\n")
        assert [path.name for path in exports_dir.iterdir()] == [f"{JOB}.2.part"]
    assert [path.name for path in exports_dir.iterdir()] == [f"{JOB}.csv"]
    assert exports.path_of(JOB).read_bytes() == b"all of it\r\n"


def test_a_file_that_cannot_be_finished_is_not_there(exports_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError), exports.written(JOB, 1):
        raise ZeroDivisionError
    assert list(exports_dir.iterdir()) == []


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "", "x", JOB.upper(), f"{{{JOB}}}", f"{JOB}/../a"])
def test_only_a_jobs_id_leads_to_a_file(job_id: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        exports.path_of(job_id)


def test_old_files_are_removed_and_nothing_else(exports_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old.csv", "old.1.part", "old.txt", "new.csv"):
        (exports_dir / name).touch()
    monkeypatch.setattr(settings(), "export_expires", 60)
    for name in ("old.csv", "old.1.part", "old.txt"):
        os.utime(exports_dir / name, (0, time.time() - 61))
    assert sum(exports.clearing()) == 2
    assert {path.name for path in exports_dir.iterdir()} == {"old.txt", "new.csv"}


def test_a_clearing_may_stop_at_any_file_and_go_on(exports_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (exports_dir / f"{number}.csv").touch()
    monkeypatch.setattr(settings(), "export_expires", -1)
    clearing = exports.clearing()
    assert [next(clearing) for _ in range(5)] == [True] * 5
    assert len(list(exports_dir.iterdir())) == 15
    for file in list(exports_dir.iterdir())[:5]:  # a worker replaces or removes them meanwhile
        file.unlink()
    assert sum(clearing) == 10
    assert list(exports_dir.iterdir()) == []


# --- mails -----------------------------------------------------------------------------------------------------------


def test_a_mail_is_reserved_once(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        assert mails.reserve(connection, JOB, 1)
        assert not mails.reserve(connection, JOB, 1)
        assert mails.reserve(connection, JOB, 2)
        assert mails.reserve(connection, JOB, 3)
        mails.settle(connection, JOB, 1, True)
        mails.settle(connection, JOB, 2, False)
        assert mails.reserved(connection, JOB) == {1, 2, 3}
        assert mails.counts(connection, JOB) == mails.MailCounts(sent=1, failed=1, uncertain=1)
        assert mails.counts(connection, "another") == mails.MailCounts()


def test_mails_go_with_their_job(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        for job_id in (JOB, "another"):
            moves.submit(connection, NewJob(id=job_id, type="email_sending", queue="export", params={}))
            mails.reserve(connection, job_id, 1)
        moves.cancel(connection, JOB)
        assert moves.expire(connection, time.time() + 1, 10) == 1
        assert connection.execute(mail.select()).scalars().all() == ["another"]


@given(st.text(max_size=200))
def test_any_subject_makes_a_mail_of_one_line_of_subject(subject: str) -> None:
    message = email_sending.composed(JOB, 3, 5, subject.encode("utf-8", "replace").decode())
    read = message_from_bytes(message.as_bytes(policy=policy.SMTP), policy=policy.default)
    assert set(read.keys()) >= {"From", "To", "Subject", "Message-ID", "Date"}
    assert read["To"] == "user3@example.com"
    assert read["Message-ID"] == f"<{JOB}.3@warren.example.com>"
    assert "This is mail 3 of 5" in read.get_content()


def test_a_server_takes_a_mail_or_refuses_it_or_breaks_off() -> None:
    with Sink(refuse="user2@", break_off="user3@") as sink:
        outcomes = []
        for number in (1, 2, 3):
            server = email_sending.connected(urlsplit(sink.url))
            outcomes.append(email_sending.handed_over(server, email_sending.composed(JOB, number, 3, "Grüße")))
            server.close()
    assert outcomes == [True, False, None]
    assert sink.taken == [f"<{JOB}.1@warren.example.com>", f"<{JOB}.3@warren.example.com>"]


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with Sink() as sink:
        pass
    with pytest.raises(email_sending.Unreachable, match="Connection refused"):
        email_sending.connected(urlsplit(sink.url))


def test_a_server_that_sends_us_away_is_unreachable() -> None:
    with Sink(greeting="421 too busy") as sink, pytest.raises(email_sending.Unreachable, match="it answered 421"):
        email_sending.connected(urlsplit(sink.url))


def test_a_password_is_given_and_a_wrong_one_ends_the_job() -> None:
    with Sink(password="s/cr@t") as sink:
        email_sending.connected(urlsplit(sink.url.replace("//", "//user:s%2Fcr%40t@"))).close()
        with pytest.raises(JobFailed, match="does not accept this user and password") as caught:
            email_sending.connected(urlsplit(sink.url.replace("//", "//user:wrong@")))
    assert "wrong" not in str(caught.value)


def test_a_server_without_passwords_is_unreachable_for_one_who_has_one() -> None:
    with Sink() as sink:
        url = urlsplit(sink.url.replace("smtp://", "smtp://user:secret@"))
        with pytest.raises(email_sending.Unreachable) as caught:
            email_sending.connected(url)
    assert isinstance(caught.value.__cause__, smtplib.SMTPNotSupportedError)
    assert "secret" not in str(caught.value)
