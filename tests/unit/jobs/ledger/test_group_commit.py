import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.group_commit import GroupCommit
from jobs.ledger.records import NewJob
from tests.support.databases import on_sqlite
from tests.support.stack import wait_until


def test_writes_from_many_threads_all_arrive(ledger: Ledger) -> None:
    commits = GroupCommit(ledger)
    new_jobs = [NewJob(type="heavy", queue="heavy", params={}) for _ in range(200)]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda new: commits.run(lambda connection: moves.add(connection, new), 10), new_jobs))
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 200


def test_writes_that_wait_share_a_transaction(ledger: Ledger) -> None:
    commits = GroupCommit(ledger)
    entered, go_on = threading.Event(), threading.Event()
    transactions: list[int] = []

    def hold(connection: Connection) -> None:
        entered.set()
        go_on.wait(10)

    def note(connection: Connection) -> None:
        transactions.append(id(connection.get_transaction()))

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(commits.run, hold, 10)
        entered.wait(10)
        rest = [pool.submit(commits.run, note, 10) for _ in range(8)]
        wait_until(lambda: commits._waiting.qsize() == 8, 10, "all eight wait")
        go_on.set()
        for future in [first, *rest]:
            future.result(10)
    assert len(transactions) == 8
    assert len(set(transactions)) == 1


def test_a_failed_transaction_is_told_to_everyone_in_it_and_ends_nothing(ledger: Ledger) -> None:
    commits = GroupCommit(ledger)
    with pytest.raises(SQLAlchemyError):
        commits.run(lambda connection: connection.execute(text("SELECT * FROM no_such_table")), 10)
    assert commits.run(lambda connection: queries.backlog(connection), 10) == 0


def add(new: NewJob, connection: Connection) -> None:
    moves.add(connection, new)


def test_a_write_that_fails_does_not_take_the_others_of_its_batch_with_it(ledger: Ledger) -> None:
    commits = GroupCommit(ledger)
    entered, go_on = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        entered.set()
        go_on.wait(10)

    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO job (id) VALUES (NULL)"))

    good = [NewJob(type="heavy", queue="heavy", params={}) for _ in range(4)]
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(commits.run, hold, 10)
        entered.wait(10)
        writes: list[Callable[[Connection], None]] = [partial(add, new) for new in good]
        futures = [pool.submit(commits.run, work, 10) for work in (*writes[:2], fail, *writes[2:], fail)]
        wait_until(lambda: commits._waiting.qsize() == 6, 10, "all six wait")
        go_on.set()
        first.result(10)
        errors = [type(future.exception(10)) for future in futures]
    assert errors == [type(None), type(None), IntegrityError, type(None), type(None), IntegrityError]
    with ledger.reading() as connection:
        assert queries.backlog(connection) == 4


@on_sqlite
def test_a_write_that_has_not_begun_is_withdrawn_when_nobody_waits_any_more(ledger: Ledger) -> None:
    commits = GroupCommit(ledger)
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing(), pytest.raises(TimeoutError):  # this holds the writers' lock
        commits.run(lambda connection: moves.add(connection, new), 0.1)
    assert commits.run(queries.backlog, 10) == 0


def test_items_of_the_same_work_are_written_by_one_call_and_one_that_fails_fails_alone(ledger: Ledger) -> None:
    commits = GroupCommit(ledger)
    entered, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    def hold(_connection: Connection) -> None:
        entered.set()
        go_on.wait(10)

    def add_all(connection: Connection, new: list[NewJob], _perhaps_done: bool) -> None:
        calls.append(len(new))
        moves.add(connection, *new)

    jobs = [NewJob(type="heavy", queue="heavy", params={}) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(commits.run, hold, 10)
        entered.wait(10)
        futures = []
        for new in (*jobs, jobs[0]):  # the last one has an id that is taken by then
            futures.append(pool.submit(commits.gather, add_all, new, 10))
            wait_until(lambda: commits._waiting.qsize() == len(futures), 10, "it waits")
        other = pool.submit(commits.run, queries.backlog, 10)
        wait_until(lambda: commits._waiting.qsize() == 5, 10, "all five wait")
        go_on.set()
        first.result(10)
        errors = [type(future.exception(10)) for future in futures]
    assert errors == [type(None), type(None), type(None), IntegrityError]
    assert other.result() == 3
    assert calls[:2] == [4, 1]  # all of them at once, then one by one
