"""The queues, live: ``python -m jobs.commands.monitor_queue``, which ``monitor_queue.sh`` runs in the web container."""

import argparse
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import FrameType

from jobs.broker.sampler import Sampler
from jobs.catalogue import QUEUES
from jobs.ledger import workers
from jobs.ledger.database import ledger
from jobs.ledger.records import QueueSample
from jobs.settings import settings

#: Samples that a history line shows.
HISTORY = 30

_BARS = "▁▂▃▄▅▆▇█"
_HOME_AND_CLEAR = "\033[H\033[J"
_ALTERNATE_SCREEN, _NORMAL_SCREEN = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"


def sparkline(values: Sequence[int]) -> str:
    """Return a line of bars, the highest of them the largest value (Tufte's sparkline)."""
    top = max(values, default=0) or 1
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in values)


class Monitor:
    """Takes a sample of ledger and broker, and shows it."""

    def __init__(self) -> None:
        self._sampler = Sampler()
        self._samples: list[QueueSample] = []
        #: The jobs of each queue in the last samples, oldest first.
        self._history: dict[str, deque[int]] = {name: deque(maxlen=HISTORY) for name in QUEUES}
        self._workers: list[str] = []

    def sample(self) -> None:
        """Look once."""
        self._samples = self._sampler.sample()
        for sample in self._samples:
            self._history[sample.name].append(sample.backlog)
        with ledger().reading() as connection:
            self._workers = [
                f"{worker.name} ({worker.queues or 'takes no more jobs'}; {worker.concurrency} at once)"
                for worker in workers.living(connection, settings().worker_lease)
            ]

    @property
    def _trouble(self) -> str:
        return f"{self._sampler.trouble}; the numbers of jobs are the ledger's" if self._sampler.trouble else ""

    def screen(self) -> str:
        """Return the display for a terminal."""
        lines = [
            f"{'queue':<12} {'jobs':>8} {'later':>8} {'ready':>8} {'unacked':>8} {'in/s':>8} {'out/s':>8}"
            f" {'until empty':>12}  history",
            *(
                f"{sample.name:<12} {sample.backlog:>8} {sample.scheduled:>8} {_count(sample.ready):>8}"
                f" {_count(sample.unacknowledged):>8} {sample.in_rate:>8.1f} {sample.out_rate:>8.1f}"
                f" {sample.time_left:>12}  {sparkline(self._history[sample.name])}"
                for sample in self._samples
            ),
            "",
            f"workers: {len(self._workers)}",
            *(f"  {line}" for line in self._workers),
        ]
        if self._trouble:
            lines += ["", self._trouble]
        return "\n".join([*lines, "", f"{time.strftime('%H:%M:%S')}  Ctrl-C ends this display."])

    def line(self) -> str:
        """Return the display for a pipe or a file: one line."""
        parts = [
            f"{sample.name} jobs={sample.backlog} later={sample.scheduled} ready={_count(sample.ready)}"
            f" unacked={_count(sample.unacknowledged)} in={sample.in_rate:.1f}/s out={sample.out_rate:.1f}/s"
            f" until_empty={sample.time_left.replace(' ', '_')}"
            for sample in self._samples
        ]
        trouble = f" | {self._trouble}" if self._trouble else ""
        return f"{time.strftime('%H:%M:%S')} workers={len(self._workers)} | {' | '.join(parts)}{trouble}"


def _count(messages: int | None) -> int | str:
    return "-" if messages is None else messages


def _end_with_stdin(stop: threading.Event) -> None:
    # `docker exec` leaves its process behind when its client dies; the closed stdin is the only sign of it.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()


def main() -> int:
    """Show the queues until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="monitor_queue.sh", description="What waits in RabbitMQ, refreshed.")
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="time between two looks")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="end after so many looks; 0 is never")
    arguments = parser.parse_args()
    if arguments.interval <= 0 or arguments.count < 0:
        parser.error("--interval must be above 0 and --count must not be negative")

    stop = threading.Event()

    def _stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    terminal = sys.stdout.isatty()
    if not terminal:
        threading.Thread(target=_end_with_stdin, args=(stop,), daemon=True).start()

    monitor = Monitor()
    looks = 0
    if terminal:
        print(_ALTERNATE_SCREEN, end="")
    try:
        while not stop.is_set():
            monitor.sample()
            print(_HOME_AND_CLEAR + monitor.screen() if terminal else monitor.line(), flush=True)
            looks += 1
            if looks == arguments.count:
                break
            stop.wait(arguments.interval)
    except BrokenPipeError:
        pass
    finally:
        if terminal:
            print(_NORMAL_SCREEN, end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
