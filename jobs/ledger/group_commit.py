"""Group commit: writes that arrive together share one transaction, and so one wait for the disk.

An old idea (DeWitt et al., "Implementation techniques for main memory database systems", 1984, section 5.2): while one
batch is being written to disk, the next gathers. Under load the cost of ``fsync`` is divided by the size of the batch.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection

from jobs.ledger.database import Ledger

T = TypeVar("T")
Write = tuple[Callable[[Connection], Any], Future[Any]]

#: Most writes in one transaction: keeps the slowest answer of a batch near the fastest.
MAX_BATCH = 256


class _WriteFailed(Exception):
    """One write of a batch raised an exception: the cause of this one."""

    def __init__(self, write: Write) -> None:
        self.write = write


class GroupCommit:
    """Runs small pieces of work, from any number of threads, in shared write transactions."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: queue.SimpleQueue[Write] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="group-commit", daemon=True).start()

    def run(self, work: Callable[[Connection], T], timeout: float) -> T:
        """Run ``work(connection)`` in a transaction; return what it returns after the commit is on disk.

        ``work`` may be called again when another one of its batch has failed. Raises :class:`TimeoutError` after
        ``timeout`` seconds, and whatever the work or the commit raised: then nothing was written, except that after a
        :class:`TimeoutError` the work may have been under way and be written after all.
        """
        future: Future[T] = Future()
        self._waiting.put((work, future))
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

    def _commit(self, batch: list[Write]) -> None:
        """Commit a batch. Those of its writes that fail are told so, and the others are tried again without them."""
        begun: list[Write] | None = None
        while begun is None or begun:
            try:
                with self._ledger.writing() as connection:
                    begun = _begin(batch) if begun is None else begun
                    values = [_call(write, connection) for write in begun]
            except _WriteFailed as failed:
                assert begun is not None
                begun.remove(failed.write)
                failed.write[1].set_exception(failed.__cause__)
            except Exception as error:
                for _, future in _begin(batch) if begun is None else begun:
                    future.set_exception(error)
                return
            else:
                for (_, future), value in zip(begun, values, strict=True):
                    future.set_result(value)
                return


def _begin(batch: list[Write]) -> list[Write]:
    """Return those that have not been withdrawn; from here on they cannot be."""
    return [(work, future) for work, future in batch if future.set_running_or_notify_cancel()]


def _call(write: Write, connection: Connection) -> Any:
    try:
        return write[0](connection)
    except Exception as error:
        raise _WriteFailed(write) from error
