"""The download of a file that is in PostgreSQL: whole, in parts, or not again. In a stack Nginx is in between.

A buffered answer of the test client is read to its end and closed, as Gunicorn does it.
"""

import pytest
from flask.testing import FlaskClient

from jobs.exports import database as files
from jobs.exports import store
from jobs.ledger import database, moves
from jobs.ledger.database import Ledger
from jobs.ledger.files import CHUNK
from jobs.ledger.records import NewJob, Outcome
from jobs.settings import settings
from tests.support.databases import on_postgresql

pytestmark = on_postgresql

#: Two chunks and a half.
CONTENT = "".join(f"{number}," for number in range(CHUNK // 2))[: 5 * CHUNK // 2]


@pytest.fixture
def path(client: FlaskClient, ledger: Ledger) -> str:
    """The address of the file of an export that has succeeded."""
    job = NewJob(type="export", queue="export", params={})
    with ledger.writing() as connection:
        moves.add(connection, job)
        moves.claim(connection, [job.id], "w1")
    with store.write(job.id, 1) as file:
        file.write(CONTENT)
    with ledger.writing() as connection:
        moves.succeed(connection, Outcome(job_id=job.id, attempt=1, result={"count": 0}))
    return f"/flask/download/{job.id}"


def test_the_whole_file(client: FlaskClient, path: str) -> None:
    answer = client.get(path, buffered=True)
    assert (answer.status_code, answer.text) == (200, CONTENT)
    assert answer.content_length == len(CONTENT)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="todos-')
    assert answer.headers["Accept-Ranges"] == "bytes"
    head = client.head(path)
    assert (head.status_code, head.content_length, head.data) == (200, len(CONTENT), b"")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-0", 0, 1),
        ("3-6", 3, 7),
        (f"{CHUNK}-{2 * CHUNK - 1}", CHUNK, 2 * CHUNK),
        (f"{CHUNK - 2}-{2 * CHUNK + 1}", CHUNK - 2, 2 * CHUNK + 2),
        (f"{2 * CHUNK}-", 2 * CHUNK, len(CONTENT)),
        ("-5", len(CONTENT) - 5, len(CONTENT)),
        ("7-99999999", 7, len(CONTENT)),
    ],
)
def test_a_part_of_it(client: FlaskClient, path: str, asked: str, start: int, end: int) -> None:
    answer = client.get(path, headers={"Range": f"bytes={asked}"}, buffered=True)
    assert (answer.status_code, answer.text) == (206, CONTENT[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert answer.content_length == end - start


def test_there_is_no_part_behind_its_end(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Range": f"bytes={len(CONTENT)}-"}, buffered=True)
    assert answer.status_code == 416
    assert answer.get_json()["status"] == 416


def test_a_client_that_has_it_is_not_sent_it_again(client: FlaskClient, path: str) -> None:
    first = client.get(path, buffered=True)
    for known in (
        {"If-None-Match": first.headers["ETag"]},
        {"If-Modified-Since": first.headers["Last-Modified"]},
    ):
        for part in ({}, {"Range": "bytes=0-1"}):
            again = client.get(path, headers=known | part, buffered=True)
            assert (again.status_code, again.data) == (304, b"")
    part = {"Range": "bytes=0-1"}
    assert client.get(path, headers=part | {"If-Range": first.headers["ETag"]}, buffered=True).status_code == 206
    assert client.get(path, headers=part | {"If-Range": '"another"'}, buffered=True).status_code == 200


def test_who_asks_for_several_parts_gets_all(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Range": "bytes=0-1,5-6"}, buffered=True)
    assert (answer.status_code, answer.text) == (200, CONTENT)


def test_only_so_many_are_sent_at_a_time(client: FlaskClient, path: str) -> None:
    slow = [client.get(path) for _ in range(8)]
    assert [answer.status_code for answer in slow] == [200] * 8
    refused = client.get(path, headers={"Range": "bytes=0-1"}, buffered=True)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert client.head(path).status_code == 200
    assert client.get(path, headers={"If-None-Match": slow[0].headers["ETag"]}, buffered=True).status_code == 304
    slow.pop().close()
    assert client.get(path, buffered=True).text == CONTENT
    for answer in slow:
        answer.close()


def test_when_it_has_expired(client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "export_expires", -1)
    reading = client.get(path)
    parts = reading.iter_encoded()
    assert CONTENT.startswith(next(parts).decode())
    assert sum(files.remove_expired(database.ledger())) == 1
    with pytest.raises(FileNotFoundError):  # the connection breaks
        list(parts)
    reading.close()
    answer = client.get(path, buffered=True)
    assert answer.status_code == 410
    assert "expired" in answer.get_json()["detail"]
