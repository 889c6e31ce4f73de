"""The queues, live: ``python -m jobs.monitor``, which ``monitor_queue.sh`` runs in the web container.

Depths come from RabbitMQ and rates from the ledger, so that rates are those of whole jobs, and there is something to
show while RabbitMQ is down.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import FrameType

from jobs.broker import BrokerUnavailable, QueueDepth, queue_depths
from jobs.catalogue import QUEUES
from jobs.ledger import queries
from jobs.ledger.database import ledger
from jobs.settings import settings

#: Samples that a history line shows, and that a rate is the mean of.
HISTORY = 30
SMOOTHING = 5

_BARS = "▁▂▃▄▅▆▇█"
_HOME_AND_CLEAR = "\033[H\033[J"
_ALTERNATE_SCREEN, _NORMAL_SCREEN = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"


@dataclass
class Series:
    """What is remembered of one queue."""

    unfinished: deque[int] = field(default_factory=lambda: deque(maxlen=HISTORY))
    accepted: deque[float] = field(default_factory=lambda: deque(maxlen=SMOOTHING))
    ended: deque[float] = field(default_factory=lambda: deque(maxlen=SMOOTHING))

    @property
    def in_rate(self) -> float:
        """Jobs accepted per second, lately."""
        return sum(self.accepted) / len(self.accepted) if self.accepted else 0.0

    @property
    def out_rate(self) -> float:
        """Jobs ended per second, lately."""
        return sum(self.ended) / len(self.ended) if self.ended else 0.0

    def time_left(self) -> str:
        """Return when the queue will be empty at these rates."""
        if not self.unfinished or self.unfinished[-1] == 0:
            return "empty"
        gain = self.out_rate - self.in_rate
        if gain <= 0:
            return "growing" if self.in_rate > self.out_rate else "not moving"
        return duration(self.unfinished[-1] / gain)


def duration(seconds: float) -> str:
    """Return a duration as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def sparkline(values: deque[int]) -> str:
    """Return a line of bars, the highest of them the largest value (Tufte's sparkline)."""
    top = max(values, default=0) or 1
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in values)


class Monitor:
    """Takes a sample of ledger and broker, and shows it."""

    def __init__(self) -> None:
        self._series = {name: Series() for name in QUEUES}
        self._messages: dict[str, QueueDepth] = {}
        self._workers: list[str] = []
        self._trouble = ""
        with ledger().reading() as connection:
            self._seq = queries.newest_seq(connection)
        self._moment = time.time()

    def sample(self) -> None:
        """Look once."""
        now = time.time()
        passed = max(now - self._moment, 0.001)
        with ledger().reading() as connection:
            newest = queries.newest_seq(connection)
            accepted = queries.accepted_after(connection, self._seq)
            ended = queries.ended_after(connection, self._moment)
            waiting = queries.open_counts(connection)
            self._workers = [
                f"{row.name} ({row.queues}; {row.concurrency} at once)"
                for row in queries.workers(connection)
                if row.seen_at > now - settings().worker_lease
            ]
        self._seq, self._moment = newest, now
        try:
            self._messages = {depth.name: depth for depth in queue_depths()}
            self._trouble = ""
        except BrokerUnavailable as error:
            self._messages = {}
            self._trouble = f"{error}; the numbers of jobs are the ledger's"
        for name, series in self._series.items():
            series.unfinished.append(sum(waiting.get(name, {}).values()))
            series.accepted.append(accepted.get(name, 0) / passed)
            series.ended.append(ended.get(name, 0) / passed)

    def screen(self) -> str:
        """Return the display for a terminal."""
        lines = [
            f"{'queue':<12} {'jobs':>8} {'ready':>8} {'unacked':>8} {'in/s':>8} {'out/s':>8} {'until empty':>12}"
            "  history",
            *(
                f"{name:<12} {series.unfinished[-1]:>8} {self._count(name, 'ready'):>8}"
                f" {self._count(name, 'unacknowledged'):>8} {series.in_rate:>8.1f} {series.out_rate:>8.1f}"
                f" {series.time_left():>12}  {sparkline(series.unfinished)}"
                for name, series in self._series.items()
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
            f"{name} jobs={series.unfinished[-1]} ready={self._count(name, 'ready')}"
            f" unacked={self._count(name, 'unacknowledged')} in={series.in_rate:.1f}/s out={series.out_rate:.1f}/s"
            f" until_empty={series.time_left().replace(' ', '_')}"
            for name, series in self._series.items()
        ]
        trouble = f" | {self._trouble}" if self._trouble else ""
        return f"{time.strftime('%H:%M:%S')} workers={len(self._workers)} | {' | '.join(parts)}{trouble}"

    def _count(self, queue: str, what: str) -> int | str:
        depth = self._messages.get(queue)
        return getattr(depth, what) if depth else "-"


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
