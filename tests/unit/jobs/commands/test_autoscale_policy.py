"""The decisions of the autoscaler: single situations, and whole days of a simulated stack."""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from jobs.commands.autoscale_policy import Decision, Limits, Situation, decide
from jobs.ledger.records import QueueSample, Worker

NOW = 1_000_000.0
#: Seconds between two samples.
STEP = 2.0


def limits(**changes: Any) -> Limits:
    return Limits(**{"queues": ("heavy",), "least": 1, "most": 8, "wait": 15, "cooldown": 120, **changes})


def worker(number: int, queues: str = "heavy", concurrency: int = 4) -> Worker:
    name = f"w{number}" if number > 1 else "first"
    return Worker(
        id=f"{name}/1",
        name=name,
        queues=queues,
        concurrency=concurrency,
        started_at=NOW - 1000 + number,
        seen_at=NOW,
    )


def sample(at: float, backlog: int, out_rate: float = 0, consumers: int | None = 1, name: str = "heavy") -> QueueSample:
    return QueueSample(
        at=at,
        name=name,
        ready=None if consumers is None else 0,
        unacknowledged=0,
        consumers=consumers,
        unfinished=backlog + 7,
        scheduled=7,
        in_rate=0,
        out_rate=out_rate,
    )


def history(backlog: Callable[[float], int], *, span: float = 200, **about: Any) -> list[QueueSample]:
    """Return samples up to now; `backlog` gets the seconds that each lies in the past."""
    return [sample(NOW - ago, backlog(ago), **about) for ago in ticks(span)]


def ticks(span: float) -> Iterable[float]:
    return (STEP * number for number in range(int(span / STEP), -1, -1))


def situation(samples: Sequence[QueueSample], workers: Sequence[Worker], **changes: Any) -> Situation:
    removable = [each.name for each in workers if each.name != "first"]
    return Situation(
        **{"at": NOW, "samples": samples, "workers": workers, "running": {}, "removable": removable, **changes}
    )


# --- more workers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "backlog", "out_rate", "add"),
    [
        # 4 places, always busy, 4 jobs ended per second: each takes 1 s.
        pytest.param(1, 4, 4, 0, id="every job has a place"),
        pytest.param(1, 24, 4, 0, id="20 wait: for 5 s"),
        pytest.param(1, 64, 4, 0, id="60 wait: for 15 s, as long as they may"),
        pytest.param(1, 68, 4, 1, id="64 wait: for 16 s"),
        pytest.param(4, 16 + 300, 16, 1, id="300 wait for 19 s: a quarter more"),
        pytest.param(2, 608, 8, 2, id="600 wait for 75 s: no more are added than there are"),
        pytest.param(6, 6000, 24, 2, id="up to --max"),
        pytest.param(8, 6000, 32, 0, id="--max is reached"),
    ],
)
def test_workers_are_added_in_proportion_to_the_time_that_jobs_would_wait(
    workers: int, backlog: int, out_rate: float, add: int
) -> None:
    decision = decide(
        limits(),
        situation(
            history(lambda _: backlog, out_rate=out_rate, consumers=workers),
            [worker(number) for number in range(1, workers + 1)],
        ),
    )
    assert (decision.add, decision.retire) == (add, ())


def test_the_reason_names_the_queue_the_line_and_the_time() -> None:
    decision = decide(limits(), situation(history(lambda _: 304, out_rate=4), [worker(1)]))
    assert decision.why == "1 -> 2 workers: 300 jobs of heavy wait, the last of them for about 1:12"


def test_at_the_most_it_says_so() -> None:
    decision = decide(limits(most=1), situation(history(lambda _: 304, out_rate=4), [worker(1)]))
    assert decision == Decision(why="jobs wait, and 1 workers are there: --max is 1")


def test_a_burst_is_seen_in_its_first_seconds() -> None:
    """Three seconds ago 600 jobs of one second came, and nothing before."""
    samples = [sample(NOW - ago, 600 if ago < 3 else 0, out_rate=8 / 60 if ago == 0 else 0) for ago in ticks(200)]
    assert decide(limits(), situation(samples, [worker(1)])).add == 1


@pytest.mark.parametrize(("since", "add"), [(0, 0), (14, 0), (16, 1)])
def test_while_no_job_ends_the_line_itself_tells_how_long_its_first_one_has_waited(since: float, add: int) -> None:
    samples = history(lambda ago: 5 if ago <= since else 4)
    assert decide(limits(), situation(samples, [worker(1)])).add == add


def test_a_queue_that_no_worker_takes_from_gets_one() -> None:
    samples = [*history(lambda _: 0), *history(lambda ago: 3 if ago <= 20 else 0, name="export", consumers=0)]
    both = limits(queues=("heavy", "export"))
    assert decide(both, situation(samples, [worker(1)])).add == 1


def test_what_the_places_were_before_counts_for_the_time_of_a_job() -> None:
    """Until five seconds ago there was one worker: 4 jobs ended per second, not 32 in eight seconds each."""
    samples = [sample(NOW - ago, 250, out_rate=4, consumers=1 if ago > 4 else 8) for ago in ticks(200)]
    seen = situation(samples, [worker(number) for number in range(1, 9)])
    assert decide(limits(most=50), seen).add == 0


@pytest.mark.parametrize(("there", "least", "add"), [(0, 1, 1), (1, 3, 2), (3, 3, 0)])
def test_there_are_never_fewer_than_the_least(there: int, least: int, add: int) -> None:
    workers = [worker(number) for number in range(1, there + 1)]
    assert decide(limits(least=least), situation(history(lambda _: 0), workers)).add == add


def test_a_worker_that_just_starts_counts() -> None:
    samples = history(lambda _: 304, out_rate=4)
    seen = situation(samples, [worker(1)], removable=["w2"])
    assert decide(limits(), seen) == Decision()


def test_a_worker_that_takes_no_more_jobs_does_not_count() -> None:
    seen = situation(history(lambda _: 0, consumers=1), [worker(1), worker(2, queues="")])
    assert decide(limits(), seen) == Decision()
    assert decide(limits(least=2), seen).add == 1


def test_a_worker_of_other_queues_does_not_count() -> None:
    seen = situation(history(lambda _: 0), [worker(1), worker(2, queues="arithmetic")], removable=[])
    assert decide(limits(least=2), seen).add == 1


def test_of_a_worker_with_several_queues_half_of_the_places_are_for_heavy_jobs() -> None:
    mixed = worker(1, queues="heavy,export,arithmetic", concurrency=8)
    assert decide(limits(), situation(history(lambda _: 64, out_rate=4), [mixed])).add == 0
    assert decide(limits(), situation(history(lambda _: 68, out_rate=4), [mixed])).add == 1


# --- fewer workers ----------------------------------------------------------------------------------------------------


def four(samples: Sequence[QueueSample], **changes: Any) -> Situation:
    return situation(samples, [worker(number) for number in range(1, 5)], **changes)


@pytest.mark.parametrize(
    ("backlog", "retired"),
    [
        pytest.param(lambda _: 0, ("w4", "w3"), id="quiet: half of the three that are too many"),
        pytest.param(lambda _: 3, ("w4", "w3"), id="the first one has places for them, and one to spare"),
        pytest.param(lambda _: 4, ("w4",), id="two are needed"),
        pytest.param(lambda _: 9, ("w4",), id="three are needed"),
        pytest.param(lambda _: 10, (), id="all are needed"),
        pytest.param(lambda ago: 16 if ago == 118 else 0, (), id="all were needed, once"),
        pytest.param(lambda ago: 16 if ago >= 120 else 0, ("w4", "w3"), id="long ago"),
    ],
)
def test_workers_are_retired_when_the_others_had_a_place_for_every_job(
    backlog: Callable[[float], int], retired: tuple[str, ...]
) -> None:
    assert decide(limits(), four(history(backlog, consumers=4))).retire == retired


def test_the_reason_says_how_many_jobs_there_were() -> None:
    seen = four(history(lambda ago: 3 if ago == 50 else 0, consumers=4))
    assert decide(limits(), seen).why == "4 -> 2 workers: for 2:00 never more jobs at once than 3 heavy"


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([sample(NOW - ago, 0, consumers=4 if ago < 60 else 3) for ago in ticks(200)], id="one was added"),
        pytest.param([sample(NOW - ago, 0, consumers=4 if ago < 60 else 5) for ago in ticks(200)], id="one has left"),
        pytest.param(history(lambda _: 0, consumers=5), id="one is just leaving"),
        pytest.param(
            [sample(NOW - ago, 0, consumers=4 if ago != 60 else None) for ago in ticks(200)], id="RabbitMQ was down"
        ),
        pytest.param(history(lambda _: 0, consumers=4, span=100), id="the record is too short"),
        pytest.param(
            [each for each in history(lambda _: 0, consumers=4) if not 40 < NOW - each.at < 60], id="it has a hole"
        ),
    ],
)
def test_nobody_is_retired_after_a_change_or_without_a_whole_record(samples: Sequence[QueueSample]) -> None:
    assert decide(limits(), four(samples)) == Decision()


def test_the_least_busy_goes_first_and_then_the_youngest() -> None:
    seen = four(history(lambda _: 3, consumers=4), running={"w4/1": 2, "w2/1": 1, "first/1": 0})
    assert decide(limits(), seen).retire == ("w3", "w2")


def test_the_first_worker_and_those_that_may_not_be_retired_stay() -> None:
    seen = four(history(lambda _: 0, consumers=4), removable=["w2"])
    assert decide(limits(), seen).retire == ("w2",)
    assert decide(limits(), four(history(lambda _: 0, consumers=4), removable=[])) == Decision()


def test_the_least_stay() -> None:
    assert decide(limits(least=4), four(history(lambda _: 0, consumers=4))) == Decision()
    assert decide(limits(least=3), four(history(lambda _: 0, consumers=4))).retire == ("w4",)


def test_more_than_the_most_are_retired_though_they_are_busy() -> None:
    for backlog in (16, 6000):
        samples = history(lambda _, jobs=backlog: jobs, out_rate=16, consumers=4)  # type: ignore[misc]
        assert decide(limits(most=3), four(samples)) == Decision(retire=("w4",), why="4 -> 3 workers: --max is 3")


# --- when nothing is known --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ([], "beat"),
        ([sample(NOW - 16, 600)], "beat"),
        ([sample(NOW - 2, 600), sample(NOW, 600, consumers=None)], "RabbitMQ"),
        (history(lambda _: 0, name="export"), "beat"),
    ],
)
def test_workers_are_left_alone_when_nothing_is_known_of_the_queues(samples: Sequence[QueueSample], says: str) -> None:
    decision = decide(limits(), four(samples))
    assert (decision.add, decision.retire) == (0, ())
    assert says in decision.why
    assert decision.why.endswith("workers are left as they are")


# --- a simulated stack ------------------------------------------------------------------------------------------------


class Simulation:
    """Jobs, places and samples. A worker takes some seconds to start, and one that is retired leaves at once."""

    def __init__(self, chosen: Limits, seconds_per_job: float, seed: int) -> None:
        self.limits = chosen
        self.seconds = seconds_per_job
        self.random = random.Random(seed)
        self.workers = [worker(1)]
        self.born = 1
        #: When those that start will be there.
        self.starting: list[float] = []
        self.now = NOW
        self.backlog = 0
        self.ended: deque[int] = deque(maxlen=int(60 / STEP))
        self.samples: deque[QueueSample] = deque(maxlen=100)
        #: What was done: the time, and how many workers more or fewer.
        self.changes: list[tuple[float, int]] = []

    def step(self, jobs_per_second: float) -> None:
        """Let the time until the next sample pass, in turns that are short for a job, and then do what is decided."""
        turns = max(1, math.ceil(3 * STEP / self.seconds))
        self.ended.append(sum(self._turn(jobs_per_second, STEP / turns) for _ in range(turns)))
        self.now += STEP
        while self.starting and self.starting[0] <= self.now:
            self.starting.pop()
            self.born += 1
            self.workers.append(worker(self.born))
        self.samples.append(sample(self.now, self.backlog, sum(self.ended) / 60, len(self.workers)))
        if not self.starting:  # the script waits until they are there
            self._decide()

    def _turn(self, jobs_per_second: float, length: float) -> int:
        self.backlog += self._poisson(jobs_per_second * length)
        running = min(self.backlog, 4 * len(self.workers))
        ended = min(running, self._poisson(running * length / self.seconds))
        self.backlog -= ended
        return ended

    def _decide(self) -> None:
        names = [each.name for each in self.workers[1:]]
        seen = Situation(at=self.now, samples=list(self.samples), workers=self.workers, running={}, removable=names)
        decision = decide(self.limits, seen)
        self.starting = [self.now + 6] * decision.add
        self.workers = [each for each in self.workers if each.name not in decision.retire]
        if decision.add or decision.retire:
            self.changes.append((self.now, decision.add - len(decision.retire)))

    def _poisson(self, mean: float) -> int:
        count, left = 0, self.random.expovariate(1)
        while left < mean:
            count += 1
            left += self.random.expovariate(1)
        return count


@pytest.mark.parametrize("seconds", [0.5, 3, 20])
@pytest.mark.parametrize("load", [0.5, 3.8, 4.2, 7.6, 13, 30])
def test_a_load_that_only_fluctuates_settles(load: float, seconds: float) -> None:
    """The load is the mean number of busy places; a worker has four."""
    simulation = Simulation(limits(), seconds, seed=1)
    for _ in range(1200):
        simulation.step(load / seconds)
    late = [change for at, change in simulation.changes if at > NOW + 1200]
    # With jobs of 20 s, an unlucky minute has a long line, and a lucky cooldown has few jobs.
    assert len(late) <= (4 if seconds == 20 else 1), simulation.changes
    assert 4 * len(simulation.workers) > load


def test_a_burst_brings_workers_fast_and_quiet_takes_them_away_slowly() -> None:
    simulation = Simulation(limits(), 1, seed=1)
    simulation.backlog = 2000
    for _ in range(600):
        simulation.step(0)
    more = [(at - NOW, change) for at, change in simulation.changes if change > 0]
    fewer = [(at - NOW, change) for at, change in simulation.changes if change < 0]
    assert [change for _, change in more] == [1, 2, 4]
    assert more[-1][0] < 30
    assert sum(change for _, change in fewer) == -7
    times = [at for at, _ in fewer]
    assert all(later - earlier >= 120 for earlier, later in pairwise([more[-1][0], *times]))


def test_between_a_change_and_the_opposite_one_lies_the_cooldown() -> None:
    """The load jumps up and down at random, every few minutes."""
    simulation = Simulation(limits(cooldown=60), 2, seed=2)
    rate = 0.0
    for tick in range(4000):
        if tick % 90 == 0:
            rate = simulation.random.choice([0, 1, 4, 12])
        simulation.step(rate)
    turns = [later - earlier for (earlier, up), (later, down) in pairwise(simulation.changes) if up > 0 > down]
    assert len(turns) > 5
    assert min(turns) >= 60
