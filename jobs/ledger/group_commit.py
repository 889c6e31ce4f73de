"""Group commit: writes that arrive together share one transaction, and so one wait for the disk.

An old idea (DeWitt et al., "Implementation techniques for main memory database systems", 1984, section 5.2): while one
batch is being written to disk, the next gathers. Under load the cost of ``fsync`` is divided by the size of the batch.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from jobs.ledger.database import Ledger, is_deadlock
from jobs.ledger.failover import was_lost

T = TypeVar("T")
Item = TypeVar("Item")

#: Most writes in one transaction: keeps the slowest answer of a batch near the fastest.
MAX_BATCH = 256


@dataclass(frozen=True, eq=False, slots=True)
class _Write:
    """A write of its own, or, with an item, one that is done together with others of the same work."""

    work: Callable[..., Any]
    item: Any
    future: Future[Any]


#: Stands for the item of a write of its own.
_ALONE = object()


class _WriteFailed(Exception):
    """One write of a batch, or several that were done together, raised an exception: the cause of this one."""

    def __init__(self, writes: list[_Write]) -> None:
        self.writes = writes


class GroupCommit:
    """Runs small pieces of work, from any number of threads, in shared write transactions."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: queue.SimpleQueue[_Write] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="group-commit", daemon=True).start()

    def run(self, work: Callable[[Connection], T], timeout: float) -> T:
        """Run ``work(connection)`` in a transaction; return what it returns after the commit is on disk.

        ``work`` may be called again when another one of its batch has failed. Raises :class:`TimeoutError` after
        ``timeout`` seconds, and whatever the work or the commit raised: then nothing was written, except that after a
        :class:`TimeoutError` the work may have been under way and be written after all.
        """
        value: T = self._wait_for(work, _ALONE, timeout)
        return value

    def gather(self, work: Callable[[Connection, list[Item], bool], None], item: Item, timeout: float) -> None:
        """Run ``work(connection, items, perhaps_done)`` once for this item and all others that wait for the same work.

        For what a database does faster for many rows at once. When that fails it is run again for each item alone, so
        that one which cannot be written fails alone. When the connection is lost in the commit it is run again with
        ``perhaps_done``, and has to see for itself which items are there. Otherwise as :meth:`run`.
        """
        self._wait_for(work, item, timeout)

    def later(self, work: Callable[[Connection], object]) -> None:
        """Have ``work(connection)`` run in a transaction, and wait for nothing. If it fails, it is not done."""
        self._waiting.put(_Write(work, _ALONE, Future()))

    def _wait_for(self, work: Callable[..., Any], item: Any, timeout: float) -> Any:
        future: Future[Any] = Future()
        self._waiting.put(_Write(work, item, future))
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()  # withdrawn, if it has not begun
            raise

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get())
            self._commit(batch)

    def _commit(self, batch: list[_Write]) -> None:
        """Commit a batch. Those of its writes that fail are told so, and the others are tried again without them."""
        begun: list[_Write] | None = None
        together = True
        perhaps_done = False
        while begun is None or begun:
            committing = False
            try:
                with self._ledger.writing() as connection:
                    begun = _begin(batch) if begun is None else begun
                    calls = _calls(begun, together=together)
                    values = [_call(writes, connection, perhaps_done) for writes in calls]
                    committing = True
            except _WriteFailed as failed:
                assert begun is not None
                if is_deadlock(failed.__cause__) or was_lost(failed.__cause__):
                    continue
                if len(failed.writes) > 1:
                    together = False  # to find out which of them it is
                else:
                    begun.remove(failed.writes[0])
                    failed.writes[0].future.set_exception(failed.__cause__)
            except Exception as error:
                failing = _begin(batch) if begun is None else begun
                if committing and was_lost(error):
                    perhaps_done = True
                    begun = [write for write in failing if write.item is not _ALONE]
                    failing = [write for write in failing if write.item is _ALONE]
                else:
                    begun = []
                for write in failing:
                    write.future.set_exception(error)
            else:
                for writes, value in zip(calls, values, strict=True):
                    for write in writes:
                        write.future.set_result(value)
                return


def _begin(batch: list[_Write]) -> list[_Write]:
    """Return those that have not been withdrawn; from here on they cannot be."""
    return [write for write in batch if write.future.set_running_or_notify_cancel()]


def _calls(batch: list[_Write], *, together: bool) -> list[list[_Write]]:
    """Return which writes are done by one call each: with ``together``, all items of the same work."""
    calls: dict[Any, list[_Write]] = {}
    for write in batch:
        shared = together and write.item is not _ALONE
        calls.setdefault(write.work if shared else write, []).append(write)
    return list(calls.values())


def _call(writes: list[_Write], connection: Connection, perhaps_done: bool) -> Any:
    work = writes[0].work
    try:
        if writes[0].item is _ALONE:
            return work(connection)
        return work(connection, [write.item for write in writes], perhaps_done)
    except Exception as error:
        raise _WriteFailed(writes) from error
