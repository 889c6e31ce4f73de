"""How many workers there should be: what ``ops/autoscale.sh`` decides by.

The decision follows from what beat has recorded of the queues in the last minutes, and from the workers of the moment.
There is nothing to remember: an autoscaler that was killed goes on where it was.

More workers: by Little's law, the mean number of jobs that run is their rate times the mean time that each of them
takes. So the last minute tells this time, and with it how long the last job in the line will wait. If that is too long,
workers are added in proportion, but no more than there are: the next look, some seconds later, sees what they change.

Fewer workers: when the jobs of the whole cooldown would have had a free place with fewer workers, too, and places to
spare, half of those that were too many are retired. Any change of their number begins the cooldown anew.

Between the two is a wide space in which nothing happens, so a load that only goes up and down a little moves nothing.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jobs.catalogue import places
from jobs.ledger.records import QueueSample, Worker, clock

#: Seconds that the rates of a sample are the mean of.
MINUTE = 60.0
#: Seconds without a sample after which nothing is known of the queues. Beat records one about every two seconds.
GAP = 15.0
#: The share of the places that may have been taken in the busiest moment, when there are to be no more than these.
TAKEN = 0.8


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the user wants."""

    #: The queues that the added workers take jobs from.
    queues: tuple[str, ...]
    #: Workers that take from any of these queues, at least and at most.
    least: int
    most: int
    #: Seconds that a job may wait for a free place.
    wait: float
    #: Seconds that the queues must have been quiet before workers are retired.
    cooldown: float

    @property
    def memory(self) -> float:
        """The seconds of the past that a decision needs to know."""
        return max(MINUTE, self.cooldown) + GAP


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What can be seen at one moment."""

    at: float
    #: The samples of the last ``Limits.memory`` seconds, oldest first.
    samples: Sequence[QueueSample]
    #: Those that live.
    workers: Sequence[Worker]
    #: How many jobs run, by the id of the worker.
    running: Mapping[str, int]
    #: Names of the workers whose containers run and that may be retired.
    removable: Collection[str]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done, and why: one sentence, or nothing."""

    why: str = ""
    #: How many workers to add.
    add: int = 0
    #: Names of the workers to retire.
    retire: tuple[str, ...] = ()


def decide(limits: Limits, seen: Situation) -> Decision:
    """Return what is to be done now."""
    serving = _serving(limits, seen)
    count = present(limits, seen)
    if count < limits.least:
        return Decision(add=limits.least - count, why=f"{count} -> {limits.least} workers: --min is {limits.least}")
    lines = [Line(queue, seen.samples, serving) for queue in limits.queues]
    trouble = next(filter(None, (line.trouble(seen.at) for line in lines)), "")
    if trouble or not serving:
        return Decision(why=trouble)
    longest = max(lines, key=lambda line: line.wait)
    if longest.wait <= limits.wait or count > limits.most:
        return _fewer(limits, seen, lines, serving)
    wanted = min(math.ceil(len(serving) * longest.wait / limits.wait), 2 * len(serving))
    if wanted > count == limits.most:
        return Decision(why=f"jobs wait, and {count} workers are there: --max is {limits.most}")
    wanted = min(wanted, limits.most)
    if wanted <= count:
        return Decision()
    return Decision(add=wanted - count, why=f"{count} -> {wanted} workers: {longest}")


def present(limits: Limits, seen: Situation) -> int:
    """Return how many workers of these queues there are, with those that just start."""
    starting = set(seen.removable) - {worker.name for worker in seen.workers}
    return len(_serving(limits, seen)) + len(starting)


def _serving(limits: Limits, seen: Situation) -> list[Worker]:
    return [worker for worker in seen.workers if set(worker.queues.split(",")) & set(limits.queues)]


def _fewer(limits: Limits, seen: Situation, lines: Sequence["Line"], serving: Sequence[Worker]) -> Decision:
    since = seen.at - limits.cooldown
    if not all(line.steady(since) for line in lines):
        return Decision()
    peaks = {line.queue: line.peak(since) for line in lines}
    # The least busy go first, and of these the youngest. One that still runs jobs ends them before it leaves.
    removable = [worker for worker in serving if worker.name in seen.removable]
    removable.sort(key=lambda worker: (seen.running.get(worker.id, 0), -worker.started_at))
    left, surplus = list(serving), []
    for worker in removable:
        fewer = [other for other in left if other is not worker]
        enough = all(peak <= TAKEN * _places(queue, fewer) for queue, peak in peaks.items())
        if len(fewer) >= limits.least and (enough or len(left) > limits.most):
            left = fewer
            surplus.append(worker.name)
    go = tuple(surplus[: math.ceil(len(surplus) / 2)])
    if not go:
        return Decision()
    busiest = ", ".join(f"{peak} {queue}" for queue, peak in peaks.items())
    why = f"for {clock(limits.cooldown)} never more jobs at once than {busiest}"
    if len(serving) > limits.most:
        why = f"--max is {limits.most}"
    return Decision(retire=go, why=f"{len(serving)} -> {len(serving) - len(go)} workers: {why}")


class Line:
    """The jobs of one queue that wait for a free place."""

    def __init__(self, queue: str, samples: Sequence[QueueSample], serving: Sequence[Worker]) -> None:
        self.queue = queue
        self._samples = [sample for sample in samples if sample.name == queue]
        self._workers = sum(queue in worker.queues.split(",") for worker in serving)
        self._places = _places(queue, serving)

    def __str__(self) -> str:
        waiting = self._samples[-1].backlog - self._places
        return f"{waiting} jobs of {self.queue} wait, the last of them for about {clock(self.wait)}"

    def trouble(self, now: float) -> str:
        """Return why nothing can be said of this queue, if it is so."""
        if not self._samples or now - self._samples[-1].at > GAP:
            return "the beat container records no samples of the queues; workers are left as they are"
        if self._samples[-1].ready is None:
            return "RabbitMQ does not answer; workers are left as they are"
        return ""

    @property
    def wait(self) -> float:
        """The seconds that the last job of the line will have to wait, as far as the last minute can tell."""
        newest = self._samples[-1]
        waiting = newest.backlog - self._places
        if waiting <= 0:
            return 0.0
        ended = newest.out_rate * MINUTE
        if ended < 1 or not self._places:
            return newest.at - self._line_since()
        minute = [sample for sample in self._samples if sample.at > newest.at - MINUTE]
        busy = sum(
            min(sample.backlog, self._places_at(sample)) * (after.at - sample.at) for sample, after in pairwise(minute)
        )
        return waiting * busy / ended / self._places

    def _line_since(self) -> float:
        """Return since when jobs have been waiting: while none of them ends, the first one has waited so long."""
        since = self._samples[-1].at
        for sample in reversed(self._samples):
            if sample.backlog <= self._places_at(sample):
                break
            since = sample.at
        return since

    def _places_at(self, sample: QueueSample) -> float:
        """Return the places when a sample was taken: there may have been fewer workers than now."""
        if sample.consumers is None or not self._workers:
            return self._places
        return sample.consumers * self._places / self._workers

    def steady(self, since: float) -> bool:
        """Tell whether the workers of this queue have been the same ones, and were seen, all the time since then."""
        return (
            self._samples[0].at <= since
            and all(after.at - sample.at <= GAP for sample, after in pairwise(self._samples))
            and all(sample.consumers == self._workers for sample in self._samples if sample.at > since)
        )

    def peak(self, since: float) -> int:
        """Return the most jobs at a time since then, waiting and running."""
        return max(sample.backlog for sample in self._samples if sample.at > since)


def _places(queue: str, workers: Sequence[Worker]) -> int:
    """Return how many jobs of a queue these workers run at once."""
    return sum(
        places(queue, worker.queues, worker.concurrency) for worker in workers if queue in worker.queues.split(",")
    )
