"""What a fault is: how it strikes, how long it lasts, what it may cost. Also the list of all faults."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.chaos.mailserver import MailServer
from tests.support.stack import Stack

#: Seconds between two requests to the health page.
LOOK_EVERY = 0.5


@dataclass
class Scene:
    """What a strike works with."""

    stack: Stack
    mail: MailServer
    dice: Random
    #: Seconds that a lasting fault is to last.
    seconds: float
    #: What the health page should have reported meanwhile and did not.
    untold: list[str] = field(default_factory=list)

    def hold(self, told: Callable[[dict[str, Any]], bool] | None = None, within: float = 0) -> None:
        """Let the fault last, and until /healthz/background has reported it, which must be `within` seconds.

        `told` looks at the page's answer and tells whether it reports this fault.
        """
        began = time.monotonic()
        said: list[str] = []
        heard = told is None
        while (passed := time.monotonic() - began) < self.seconds or (not heard and passed < within):
            if told is not None and not heard:
                answer = self.stack.http.get("/flask/healthz/background")
                said.append(f"{answer.status_code} {answer.text.strip()}")
                heard = answer.status_code == 503 and told(answer.json())
            time.sleep(LOOK_EVERY)
        if not heard:
            self.untold.append(f"after {max(self.seconds, within):g} s it still said {said[-1]}")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault."""

    name: str
    #: What is done, in the words of the report.
    text: str
    strike: Callable[[Scene], None]
    #: Seconds that a strike lasts: in the full run, and in the reduced run.
    lasts: float
    briefly: float
    #: Number of strikes in the full run.
    strikes: int
    #: Why this fault is not in the reduced run; empty if it is.
    full_only: str
    #: Whether it may break the clients' connections, because it stops what they are connected to.
    breaks_connections: bool
    #: Kinds of jobs that may end as FAILURE, because the fault takes away something they need.
    may_fail: frozenset[str]
    #: Whether it needs its own stack, with the ledger on a small disk.
    small_disk: bool
    #: Returns what this machine lacks to make this fault happen; empty if it lacks nothing.
    missing: Callable[[], str]


FAULTS: dict[str, Fault] = {}


def fault(
    text: str,
    *,
    lasts: float = 0,
    briefly: float = 0,
    strikes: int = 3,
    full_only: str = "",
    breaks_connections: bool = False,
    may_fail: frozenset[str] = frozenset(),
    small_disk: bool = False,
    missing: Callable[[], str] = lambda: "",
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Register a function as a fault. The fault gets the name of the function."""

    def register(strike: Callable[[Scene], None]) -> Callable[[Scene], None]:
        name = strike.__name__
        FAULTS[name] = Fault(
            name=name,
            text=text,
            strike=strike,
            lasts=lasts,
            briefly=briefly,
            strikes=strikes,
            full_only=full_only,
            breaks_connections=breaks_connections,
            may_fail=may_fail,
            small_disk=small_disk,
            missing=missing,
        )
        return strike

    return register
