"""How much does the stack hold? The load climbs in steps, and ends at the first step that the stack does not hold."""

import json
import logging
import math
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from typing import Any

from locust import LoadTestShape, events
from locust.stats import calculate_response_time_percentile

from defaults import positive, set_defaults
from users import REFUSED, SUBMISSIONS, Mix, Poller, Swarm, Viewer

__all__ = ["FindLimit", "Mix", "Poller", "Swarm", "Viewer"]

log = logging.getLogger(__name__)

#: How many requests of a step may fail or be refused: above this the load is not held, however fast the answers are.
MAX_BAD = 0.01

# --users is the highest load that is tried.
set_defaults(users=500, spawn_rate=50, run_time=900, classes=("Mix",))


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Add the length of steps, and what ends the climb."""
    for name, default, unit, text in (
        ("--max-p99", 500.0, "MS", "Stop at the first step in which 1 % of the answers take longer."),
        ("--max-backlog", 1000.0, "JOBS", "Stop at the first step that ends with more unfinished jobs."),
        ("--step-users", 20.0, "USERS", "How many users each step adds."),
        ("--step-time", 20.0, "SECONDS", "How long a step is measured, from when all its users are there."),
    ):
        help_text = f"{text} Defaults to {default:g}.".replace("%", "%%")
        parser.add_argument(name, type=positive, default=default, metavar=unit, help=help_text)


@dataclass(frozen=True)
class Totals:
    """What the statistics of a run count."""

    #: Requests that were answered or failed, without those that were refused.
    requests: int
    #: Jobs that the stack has promised to run.
    accepted: int
    #: Failures of any kind, and refused requests.
    bad: int
    #: How many requests took so many milliseconds.
    times: Counter[int]

    @classmethod
    def of(cls, stats: Any) -> "Totals":
        """Add up the rows that are requests; a `JOB` or an `SSE` counts only if it has failed."""
        requests = accepted = bad = 0
        times: Counter[int] = Counter()
        for (name, method), row in stats.entries.items():
            bad += row.num_requests if name.endswith(REFUSED) else row.num_failures
            if method in ("JOB", "SSE") or name.endswith(REFUSED):
                continue
            requests += row.num_requests
            times += Counter(row.response_times)
            if name in SUBMISSIONS:
                accepted += row.num_requests - row.num_failures
        return cls(requests, accepted, bad, times)

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(
            self.requests - other.requests,
            self.accepted - other.accepted,
            self.bad - other.bad,
            self.times - other.times,
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step as it was measured."""

    users: int
    seconds: float
    counted: Totals
    #: Jobs that had not ended when the step did; None if the stack did not say.
    backlog: int | None

    @property
    def p99(self) -> int:
        """The milliseconds that 99 % of the requests did not exceed."""
        return int(calculate_response_time_percentile(self.counted.times, self.counted.requests, 0.99))

    def __str__(self) -> str:
        requests, jobs = self.counted.requests / self.seconds, self.counted.accepted / self.seconds
        return f"{self.users} users, {requests:.1f} requests/s, {jobs:.1f} accepted jobs/s, p99 {self.p99} ms"

    def fault(self, max_p99: float, max_backlog: float) -> str:
        """Return why the stack did not hold this load, or nothing."""
        if self.counted.bad > MAX_BAD * self.counted.requests:
            return f"{self.counted.bad} requests failed or were refused"
        if not self.counted.requests:
            return "no request was answered"
        if self.p99 > max_p99:
            return f"p99 was {self.p99} ms, above --max-p99 {max_p99:g}"
        if self.backlog is None:
            return "the stack did not say how many jobs wait"
        if self.backlog > max_backlog:
            return f"{self.backlog} jobs had not ended, above --max-backlog {max_backlog:g}"
        return ""


class FindLimit(LoadTestShape):
    """Adds users step by step, measures each step, and stops at the first that is not held."""

    use_common_options = True  # --users and --run-time are limits here, too

    #: How many users there are, or will be in a moment.
    _users: int
    #: What was counted before this step, and when it began; None while its users come.
    _before: Totals | None
    _begun: float
    #: The highest load that was held so far.
    _held: Step | None
    #: Why the run has ended.
    _why: str

    def __init__(self) -> None:
        super().__init__()
        self._result = ""
        self._start_over()
        events.test_stop.add_listener(self._conclude)
        events.quit.add_listener(self._print_result)

    def reset_time(self) -> None:
        """Begin a run: Locust calls this at the start of each."""
        super().reset_time()
        self._start_over()

    def tick(self) -> tuple[int, float] | None:
        """Say how many users there have to be now, or None for the end. Locust asks about once per second."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        if self.get_run_time() > options.run_time:
            self._why = f"No limit was found in {options.run_time} s (--run-time)."
            return None
        if not self._users:
            self._climb(options)
        elif self._before is None:
            if self.get_current_user_count() == self._users:
                self._before, self._begun = Totals.of(self.runner.stats), time.monotonic()
        elif time.monotonic() - self._begun >= options.step_time:
            step = Step(
                users=self._users,
                seconds=time.monotonic() - self._begun,
                counted=Totals.of(self.runner.stats) - self._before,
                backlog=backlog(self.runner.environment.host),
            )
            if fault := step.fault(options.max_p99, options.max_backlog):
                self._why = f"Stopped at {step.users} users: {fault}."
                return None
            log.info("Held: %s", step)
            self._held = step
            if step.users >= options.num_users:
                self._why = f"No limit was found up to {step.users} users (--users)."
                return None
            self._climb(options)
        return self._users, options.spawn_rate

    def _climb(self, options: Any) -> None:
        self._users = min(self._users + math.ceil(options.step_users), options.num_users)
        self._before = None

    def _start_over(self) -> None:
        self._users = 0
        self._before = None
        self._begun = 0.0
        self._held = None
        self._why = "Stopped before a limit was found."

    def _conclude(self, environment: Any, **_: Any) -> None:
        # The page's class picker can choose to have no shape; and with --processes only one of them has it at work.
        if environment.shape_class is not self or not self._users:
            return
        load = f"Highest load held: {self._held}." if self._held else "No load was held."
        self._result = f"{load} {self._why}"
        log.info(self._result)
        # The last step fails on purpose.
        environment.process_exit_code = 0 if self._held else 1

    def _print_result(self, **_: Any) -> None:
        if self._result:
            print(self._result, flush=True)


def backlog(host: str) -> int | None:
    """Return how many jobs have not ended, without those scheduled for later; None if the stack does not tell."""
    try:
        with urllib.request.urlopen(f"{host.rstrip('/')}/flask/queues", timeout=10) as answer:
            return int(sum(queue["unfinished"] - queue["scheduled"] for queue in json.load(answer)["data"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
