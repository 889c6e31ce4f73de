"""A power cut at any moment of a load of writers leaves a ledger that opens, is sound, and holds what was promised.

Two processes take jobs in by group commit and run them, and everything that SQLite writes and syncs meanwhile is
recorded, together with each promise: a job that was accepted, a result that was stored. Then the power is cut at many
moments of that record: what was synced is there, of everything else any sectors are (:mod:`tests.support.power_cut`).
Claims and progress are committed without a sync, by design, and may be lost: a lost claim is a second run.
"""

import multiprocessing
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pysqlite3._sqlite3
import pysqlite3.dbapi2
import pytest
from sqlalchemy import Connection

from jobs.commands.migrate import upgrade
from jobs.ledger import engines, moves
from jobs.ledger.database import Ledger
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.records import NewJob, Outcome
from jobs.states import State
from tests.support.power_cut import Cut, Event, Log, cuts, events, record
from tests.support.soundness import faults

PROCESSES = 2
THREADS = 4
JOBS = 12  # in each thread

#: What is promised of a job when it is accepted.
ACCEPTED = "accepted"


def accept(new: NewJob, connection: Connection) -> None:
    """Write the job's row."""
    moves.add(connection, new)


def use_the_ledger(file: Path, log_file: Path) -> None:
    """Take jobs from submission to result in several threads, and note what is promised to whom."""
    log = Log(log_file)
    record(pysqlite3._sqlite3.__file__, log)
    # Many checkpoints in a short time: they are what writes to the database's own file.
    engines.CHECKPOINT_PAGES = 60
    ledger = Ledger(f"sqlite:///{file}")
    commits = GroupCommit(ledger)

    def lives(number: int) -> None:
        for count in range(JOBS):
            new = NewJob(type="heavy", queue="heavy", params={"text": "x" * random.randrange(3000)})
            log.add(Event("asked", new.id, data=ACCEPTED))
            commits.run(partial(accept, new), 30)
            log.add(Event("promised", new.id, data=ACCEPTED))
            with ledger.writing(durable=False) as connection:
                assert moves.claim(connection, [new.id], f"worker {number}")[new.id].attempt == 1
            with ledger.writing(durable=False) as connection:
                assert moves.report_progress(connection, new.id, 1, {"percent": 50})
            log.add(Event("asked", new.id, data=count))
            with ledger.writing() as connection:
                assert moves.succeed(connection, Outcome(job_id=new.id, attempt=1, result=count))
            log.add(Event("promised", new.id, data=count))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lives, range(THREADS)))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[Event]]:
    """The database as it was before the load, and what happened then."""
    folder = tmp_path_factory.mktemp("load")
    file, log_file = folder / "backend.db", folder / "events"
    ledger = Ledger(f"sqlite:///{file}")
    upgrade(ledger)
    ledger.dispose()
    before = {file.name: file.read_bytes()}
    # Processes of their own: what is recorded there is not to be recorded here.
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.starmap(use_the_ledger, [(file, log_file)] * PROCESSES)
    return before, events(log_file)


def broken_promises(cut: Cut) -> list[str]:
    """Open what a power cut has left; return what is wrong with it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in cut.files.items():
            (Path(folder) / name).write_bytes(content)
        connection = pysqlite3.dbapi2.connect(f"{folder}/backend.db")
        try:
            found = faults(connection.execute)
            rows = {
                job_id: (state, result)
                for job_id, state, result in connection.execute("SELECT id, state, json_extract(result, '$') FROM job")
            }
        except pysqlite3.dbapi2.DatabaseError as error:
            return [str(error)]
        finally:
            connection.close()
    for job_id, promise in cut.promised.items():
        if job_id not in rows:
            found.append(f"{job_id} is lost")
        elif promise != ACCEPTED and rows[job_id] != (State.SUCCESS, promise):
            found.append(f"the result {promise} of {job_id} is lost: {rows[job_id]}")
    return found


Recorded = tuple[dict[str, bytes], list[Event]]


def test_the_load_is_one_that_can_go_wrong(recorded: Recorded) -> None:
    _, happened = recorded
    kinds = [(event.kind, event.name) for event in happened]
    jobs = PROCESSES * THREADS * JOBS
    assert sum(kind == "promised" for kind, _ in kinds) == 2 * jobs
    assert kinds.count(("write", "backend.db")) > 100, "checkpoints wrote to the database's own file"
    starts = [
        event for event in happened if event.kind == "write" and event.name == "backend.db-wal" and not event.offset
    ]
    assert len(starts) > 3, "the write-ahead log was begun again and again"


def test_a_power_cut_loses_no_promise(recorded: Recorded, pytestconfig: pytest.Config) -> None:
    before, happened = recorded
    count = pytestconfig.getoption("--power-cuts")
    assert [broken for cut in cuts(happened, before, count, random.Random()) for broken in broken_promises(cut)] == []


@pytest.mark.parametrize(
    "mistake", [{"promise": "asked"}, {"syncs": False}], ids=["promised_too_early", "syncs_that_do_nothing"]
)
def test_a_mistake_would_be_noticed(recorded: Recorded, mistake: dict[str, Any]) -> None:
    before, happened = recorded
    assert any(broken_promises(cut) for cut in cuts(happened, before, 100, random.Random(), **mistake))
