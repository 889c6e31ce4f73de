"""Backups without containers: what is in one, that writers need not wait for it, and what becomes of damaged ones."""

import gzip
import io
import os
import shutil
import stat
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import pysqlite3.dbapi2
import pytest
from sqlalchemy import update

from jobs.commands import backup, migrate, restore
from jobs.commands.backup import BadBackup
from jobs.exports import database
from jobs.ledger import attempts, files, moves, queries, search, words, workers
from jobs.ledger.database import Ledger
from jobs.ledger.files import CHUNK
from jobs.ledger.records import NewJob, Outcome
from jobs.ledger.schema import job
from jobs.question import read
from jobs.states import State
from tests.support.databases import on_postgresql
from tests.support.old_ledger import REVISIONS, UNFINISHED, fill
from tests.support.soundness import faults


class Place:
    """The folders of a stack: what the containers mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "db/backend.db"
        self.exports, self.secrets = folder / "exports", folder / "secrets"
        for made in (self.file.parent, self.exports, self.secrets):
            made.mkdir(parents=True)
        self.ledger = Ledger(f"sqlite:///{self.file}")

    def back_up(self) -> Path:
        work = self.folder / f"work{time.monotonic_ns()}"
        work.mkdir()
        backup.back_up("my", self.ledger, self.exports, self.secrets, work)
        assert [file.name for file in work.iterdir()] == ["backup.tar.gz"]
        return work / "backup.tar.gz"

    def restore(self, file: Path) -> backup.Contents:
        self.ledger.dispose()
        prepared = self.file.parent / "restore"
        with file.open("rb") as stream:
            contents = restore.prepare(stream, prepared)
        assert not list(prepared.glob("*-wal")), "all of it is in one file"
        restore.replace_files(prepared, self.ledger, self.exports, self.secrets)
        restore.replace_ledger(prepared, self.ledger)
        self.ledger = Ledger(f"sqlite:///{self.file}")
        return contents


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "here")
    migrate.upgrade(made.ledger)
    yield made
    made.ledger.dispose()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "there")
    yield made
    made.ledger.dispose()


def heavy(run_at: float | None = None) -> NewJob:
    return NewJob(type="heavy", queue="heavy", params={"seconds": 1}, run_at=run_at)


def add(place: Place, *jobs: NewJob) -> None:
    with place.ledger.writing() as connection:
        moves.add(connection, *jobs)


def open_ledger(folder: Path) -> "closing[pysqlite3.dbapi2.Connection]":
    return closing(pysqlite3.dbapi2.connect(f"file:{folder}/ledger.db?mode=ro", uri=True))


# --- making -----------------------------------------------------------------------------------------------------------


def test_what_is_in_a_backup(place: Place, tmp_path: Path) -> None:
    add(place, heavy())
    (place.exports / "whole.csv").write_text("id,text\n")
    (place.exports / "half.1.part").write_text("id,te")
    for name in ("worker_password", "smtp_url", "database_url", "database_url.new", ".stack", "x.part"):
        (place.secrets / name).touch(mode=0o600)
    with tarfile.open(place.back_up()) as archive:
        archive.extractall(tmp_path / "opened", filter="data")
        modes = {info.name: info.mode for info in archive if info.name.startswith("secrets")}
        names = archive.getnames()
    assert names == ["about.json", "ledger.db", "exports/whole.csv", "secrets/smtp_url", "secrets/worker_password"]
    assert set(modes.values()) == {0o600}
    contents = backup.examine(tmp_path / "opened")
    assert (contents.jobs, contents.unfinished, contents.files, contents.secrets) == (1, 1, 1, 2)
    assert str(contents).startswith(f"stack my, {contents.about.made_at}, Warren ")


def test_while_jobs_are_written_a_backup_has_all_that_were_accepted_before_it_began(place: Place) -> None:
    accepted: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            job = heavy()
            add(place, job)
            with place.ledger.writing() as connection:
                moves.claim(connection, [job.id], "w")
            with place.ledger.writing() as connection:
                moves.succeed(connection, Outcome(job_id=job.id, attempt=1, result="x" * 2000))
            accepted.append(job.id)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        for number in range(5):
            while len(accepted) < 100 * number:
                time.sleep(0.001)
            before = list(accepted)
            copy = place.folder / f"copy{number}"
            copy.mkdir()
            backup.copy_ledger(place.ledger, copy / "ledger.db")
            assert [file.name for file in copy.iterdir()] == ["ledger.db"]
            with open_ledger(copy) as ledger:
                assert faults(ledger.execute) == []
                rows = dict(ledger.execute("SELECT id, state FROM job"))
            assert {rows.get(job_id) for job_id in before} <= {"SUCCESS"}
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_the_copying_keeps_no_writer_waiting(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    add(place, heavy())
    before, inside, go_on = heavy(), threading.Event(), threading.Event()
    connect = pysqlite3.dbapi2.connect

    class Slow(pysqlite3.dbapi2.Connection):
        def backup(self, target: pysqlite3.dbapi2.Connection) -> None:
            self.execute("BEGIN")
            self.execute("SELECT count(*) FROM job").fetchone()  # it reads now
            inside.set()
            assert go_on.wait(30)
            super().backup(target)

    monkeypatch.setattr(
        pysqlite3.dbapi2, "connect", lambda file, **options: connect(file, **({"factory": Slow} | options))
    )
    copying = threading.Thread(target=backup.copy_ledger, args=(place.ledger, place.folder / "ledger.db"))
    copying.start()
    assert inside.wait(30)
    add(place, before)  # would never return if it had to wait
    go_on.set()
    copying.join(30)
    with open_ledger(place.folder) as ledger:
        assert ledger.execute("SELECT count(*) FROM job").fetchone() == (1,), "it is the ledger of one moment"


def test_a_file_that_is_removed_meanwhile_is_left_out(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.exports / "expired.csv").touch()
    (place.exports / "kept.csv").touch()
    add_file = tarfile.TarFile.addfile

    def expire_and_add(self: tarfile.TarFile, info: tarfile.TarInfo, content: IO[bytes]) -> None:
        (place.exports / "expired.csv").unlink(missing_ok=True)
        add_file(self, info, content)

    monkeypatch.setattr(tarfile.TarFile, "addfile", expire_and_add)
    made = place.back_up()
    with tarfile.open(made) as archive:
        assert archive.getnames() == ["about.json", "ledger.db", "exports/kept.csv"]


def test_a_broken_ledger_makes_no_backup(place: Place) -> None:
    add(place, *(heavy() for _ in range(500)))
    place.ledger.dispose()
    with place.file.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(40000))
    with pytest.raises((BadBackup, pysqlite3.dbapi2.DatabaseError), match=r"broken|malformed"):
        place.back_up()


def test_a_full_disk_is_told_before_anything_is_copied(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(OSError, match="too full"):
        backup.back_up("my", place.ledger, place.exports, place.secrets, tmp_path)


# --- bringing it back -------------------------------------------------------------------------------------------------


def test_every_job_that_had_not_ended_is_due_and_the_rest_is_as_it_was(place: Place, elsewhere: Place) -> None:
    later = time.time() + 3600
    waiting, published, running, retrying, done = (heavy() for _ in range(5))
    scheduled = heavy(run_at=later)
    add(place, waiting, published, scheduled, running, retrying, done)
    with place.ledger.writing() as connection:
        workers.register(connection, "w.1", "w", "heavy", 2)
        moves.mark_published(connection, [published.due])
        moves.claim(connection, [running.id, retrying.id, done.id], "w.1")
        moves.report_progress(connection, running.id, 1, {"percent": 40})
        moves.retry_later(connection, retrying.id, "not yet", later, attempt=1)
        moves.succeed(connection, Outcome(job_id=done.id, attempt=1, result="It is done."))
    contents = elsewhere.restore(place.back_up())
    assert (contents.jobs, contents.unfinished) == (6, 5)
    with elsewhere.ledger.reading() as connection:
        due = {job.id for job in queries.due(connection, 10)}
        found = {each.id: each for each in queries.page(connection, limit=10)}
        assert workers.registered(connection) == []
        assert [past.error for past in attempts.past(connection, running.id)] == [
            "The worker was stopped; the job is run again."
        ]
    assert due == {published.id, running.id}  # the relay's grace is not over for the one that was just accepted
    assert found[waiting.id].due_at == waiting.due_at
    assert (found[running.id].state, found[running.id].deaths) == (State.RETRY, 0)
    assert found[scheduled.id].due_at == found[retrying.id].due_at == later
    assert (found[done.id].state, found[done.id].result) == (State.SUCCESS, "It is done.")


def test_what_was_there_is_replaced_files_and_secrets_too(place: Place, elsewhere: Place) -> None:
    add(place, job := heavy())
    (place.exports / "kept.csv").write_text("id,text\n")
    os.utime(place.exports / "kept.csv", (1000, 1000))
    (place.secrets / "worker_password").write_text("old\n")
    (place.secrets / "worker_password").chmod(0o600)
    made = place.back_up()

    migrate.upgrade(elsewhere.ledger)
    add(elsewhere, heavy())
    (elsewhere.file.parent / "backend.db-wal").write_bytes(b"of the old one")
    (elsewhere.exports / "other.csv").touch()
    (elsewhere.exports / "half.1.part").touch()
    (elsewhere.exports / ".stack").write_text("copy\n")
    (elsewhere.secrets / "worker_password").write_text("new\n")
    (elsewhere.secrets / "database_url").write_text("stays\n")
    (elsewhere.file.parent / "restore").mkdir()  # of a restore that was interrupted
    (elsewhere.file.parent / "restore/ledger.db").touch()
    elsewhere.restore(made)

    with elsewhere.ledger.reading() as connection:
        assert [each.id for each in queries.page(connection, limit=10)] == [job.id]
    assert sorted(file.name for file in elsewhere.exports.iterdir()) == [".stack", "kept.csv"]
    assert (elsewhere.exports / "kept.csv").stat().st_mtime == 1000  # or it would expire later
    assert sorted(file.name for file in elsewhere.secrets.iterdir()) == ["database_url", "worker_password"]
    assert (elsewhere.secrets / "worker_password").read_text() == "old\n"
    assert stat.S_IMODE((elsewhere.secrets / "worker_password").stat().st_mode) == 0o600


def test_it_can_be_interrupted_anywhere_and_run_again(
    place: Place, elsewhere: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(place, job := heavy())
    for name in ("a", "b"):
        (place.exports / f"{name}.csv").write_text(name)
        (place.secrets / name).write_text(name)
    made = place.back_up()
    migrate.upgrade(elsewhere.ledger)
    add(elsewhere, heavy())
    rename = Path.rename

    class Interrupted(BaseException):
        pass

    for last in range(5):
        steps = iter(range(last))

        def step(self: Path, target: Path, steps: Iterator[int] = steps) -> Path:
            if next(steps, None) is None:
                raise Interrupted
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", step)
        with pytest.raises(Interrupted):
            elsewhere.restore(made)
        with closing(pysqlite3.dbapi2.connect(elsewhere.file)) as ledger:
            assert faults(ledger.execute) == []
    monkeypatch.setattr(Path, "rename", rename)
    elsewhere.restore(made)
    with elsewhere.ledger.reading() as connection:
        assert [each.id for each in queries.page(connection, limit=10)] == [job.id]
    assert sorted(file.name for file in elsewhere.exports.iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_backup_of_an_earlier_version_is_brought_to_todays_schema(
    place: Place, elsewhere: Place, revision: str
) -> None:
    migrate.upgrade(elsewhere.ledger, revision)
    fill(elsewhere.ledger)
    place.restore(elsewhere.back_up())
    with place.ledger.writing() as connection:
        assert {job_id for job_id in UNFINISHED if moves.claim(connection, [job_id], "w")} == UNFINISHED


@on_postgresql
def test_a_ledger_in_postgresql_comes_back_there_and_in_a_file(
    ledger: Ledger, place: Place, elsewhere: Place, tmp_path: Path
) -> None:
    place.ledger.dispose()
    place.ledger = ledger
    done, waiting, later = heavy(), heavy(), heavy()
    add(place, done, waiting)
    with ledger.writing() as connection:
        moves.claim(connection, [done.id], "w")
        moves.succeed(connection, Outcome(job_id=done.id, attempt=1, result="It is done."))
    made = place.back_up()
    add(place, later)

    with made.open("rb") as stream:
        contents = restore.prepare(stream, tmp_path / "restore")
    assert (contents.jobs, contents.unfinished) == (2, 1)
    restore.replace_ledger(tmp_path / "restore", ledger)
    elsewhere.restore(made)
    for restored in (ledger, elsewhere.ledger):
        with restored.reading() as connection:
            found = {each.id: each for each in queries.page(connection, limit=10)}
        assert found.keys() == {done.id, waiting.id}
        assert (found[done.id].state, found[done.id].result) == (State.SUCCESS, "It is done.")
    add(place, later)  # it goes on from there


@on_postgresql
def test_files_in_postgresql_are_in_a_backup_and_come_back_there_and_in_a_folder(
    ledger: Ledger, place: Place, elsewhere: Place, tmp_path: Path
) -> None:
    place.ledger.dispose()
    place.ledger = ledger
    whole, later, half, moved = (heavy().id for _ in range(4))
    text = "x" * (2 * CHUNK + 1)
    with database.write(ledger, whole, 3) as file:
        file.write(text)
    (place.exports / f"{moved}.csv").write_text("from before the move to PostgreSQL")
    dead = database.write(ledger, half, 1)
    dead.__enter__().write(text)
    made = place.back_up()
    with tarfile.open(made) as archive:
        assert [name for name in archive.getnames() if name.startswith("exports")] == [
            f"exports/{moved}.csv",
            f"exports/{whole}.csv",
        ]
    with database.write(ledger, later, 1) as file:
        file.write("is forgotten")
    before = database.find(ledger, whole)
    assert before is not None

    with made.open("rb") as stream:
        assert restore.prepare(stream, tmp_path / "restore").files == 2
    restore.replace_files(tmp_path / "restore", ledger, place.exports, place.secrets)
    restore.replace_ledger(tmp_path / "restore", ledger)
    there = {file.run.job_id: file for file in database.whole(ledger)}
    assert there.keys() == {whole, moved}
    assert b"".join(database.read(ledger, there[whole])) == text.encode()
    assert there[whole].written_at == pytest.approx(before.written_at)
    assert list(place.exports.iterdir()) == []

    elsewhere.restore(made)
    assert sorted(file.stem for file in elsewhere.exports.iterdir()) == sorted([whole, moved])
    restored = elsewhere.exports / f"{whole}.csv"
    assert restored.read_text() == text
    assert restored.stat().st_mtime == pytest.approx(before.written_at)


@on_postgresql
def test_a_file_in_postgresql_that_expires_meanwhile_is_left_out(
    ledger: Ledger, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.ledger.dispose()
    place.ledger = ledger
    for _ in range(2):
        with database.write(ledger, heavy().id, 1) as file:
            file.write("all of it")
    found = database.whole(ledger)
    monkeypatch.setattr(database, "whole", lambda _: found)
    with ledger.writing() as connection:
        assert files.remove(connection, found[0].run, 10)
    with tarfile.open(place.back_up()) as archive:
        assert archive.getnames() == ["about.json", "ledger.db", f"exports/{found[1].run.job_id}.csv"]


@on_postgresql
def test_the_words_of_jobs_are_indexed_anew_in_postgresql(
    ledger: Ledger, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "SETTLE", 0)
    place.ledger.dispose()
    place.ledger = ledger

    def end_some(kind: str) -> None:
        jobs = [heavy() for _ in range(2 * words.BLOCK)]
        add(place, *jobs)
        with ledger.writing() as connection:
            connection.execute(update(job).values(state="SUCCESS", ended_at=time.time(), result=kind))

    end_some("earlier")
    made = place.back_up()
    end_some("later")
    words.fill(ledger, 10)
    with made.open("rb") as stream:
        restore.prepare(stream, tmp_path / "restore")
    restore.replace_ledger(tmp_path / "restore", ledger)
    words.fill(ledger, 10)
    with ledger.reading() as connection:
        for kind, count in (("earlier", 2 * words.BLOCK), ("later", 0)):
            assert len(search.page(connection, read(kind), limit=100, budget=60).jobs) == count


# --- what is no good --------------------------------------------------------------------------------------------------


def remake(made: Path, target: Path, name: str, content: bytes) -> None:
    """Copy a backup with another content of one of its files."""
    with tarfile.open(made) as old, tarfile.open(target, "w:gz") as new:
        for info in old:
            found = old.extractfile(info)
            assert found is not None
            data = content if info.name == name else found.read()
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))


@pytest.fixture
def made(place: Place) -> Path:
    add(place, *(heavy() for _ in range(50)))
    return place.back_up()


def refused(file: Path) -> str:
    with pytest.raises(BadBackup) as error, file.open("rb") as stream:
        restore.prepare(stream, file.parent / "prepared")
    return str(error.value)


def test_a_damaged_file_is_refused_wherever_the_damage_is(made: Path, tmp_path: Path) -> None:
    data = made.read_bytes()
    damaged = tmp_path / "damaged"
    for place in range(0, len(data), len(data) // 40):
        damaged.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        if place in range(4, 10):
            continue  # the date and the system in the header of gzip: nobody reads them
        assert "damaged" in refused(damaged)
    for size in (0, 5, len(data) // 2, len(data) - 1):
        damaged.write_bytes(data[:size])
        assert refused(damaged)


def test_a_file_that_is_something_else_is_refused(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("Dear diary")
    assert refused(other) == "it is damaged, or not a backup at all"
    other.write_bytes(gzip.compress(b"Dear diary"))
    assert "damaged" in refused(other)
    with tarfile.open(other, "w:gz") as archive:
        archive.add(__file__, "README.md")
    assert "not made by ops/backup.sh" in refused(other)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("about.json", b'{"format": 1}', "not made by ops/backup.sh"),
        ("about.json", b"{", "not made by ops/backup.sh"),
        ("about.json", b'{"format": 2, "warren": "9.0", "stack": "my", "made_at": ""}', "newer Warren, 9.0"),
        ("ledger.db", b"x" * 9000, "the ledger in it is broken: file is not a database"),
        ("ledger.db", b"", "the ledger in it is broken: no such table: job"),
    ],
)
def test_wrong_contents_are_refused(made: Path, tmp_path: Path, name: str, content: bytes, says: str) -> None:
    remake(made, tmp_path / "wrong", name, content)
    assert says in refused(tmp_path / "wrong")


def test_names_that_lead_elsewhere_are_refused(made: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil", "w:gz") as archive:
        archive.add(__file__, "../evil.py")
    assert refused(tmp_path / "evil")
    assert not (tmp_path / "evil.py").exists()


def test_a_schema_of_a_newer_version_is_refused(place: Place, tmp_path: Path) -> None:
    with closing(pysqlite3.dbapi2.connect(place.file)) as ledger, ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    made = place.back_up().rename(tmp_path / "newer")
    assert "made by a newer Warren" in refused(made)
