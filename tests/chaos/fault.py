"""What a fault is: how it strikes, how long it lasts, what it may cost; and the register of all of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.chaos.mailserver import MailServer
from tests.support.stack import Stack

#: Seconds between two questions to the health page.
LOOK_EVERY = 0.5


@dataclass
class Scene:
    """Where a fault strikes."""

    stack: Stack
    mail: MailServer
    dice: Random
    #: How long a fault lasts that lasts by definition.
    seconds: float
    #: What the health page should have said meanwhile and did not.
    untold: list[str] = field(default_factory=list)

    def hold(self, told: Callable[[dict[str, Any]], bool] | None = None, within: float = 0) -> None:
        """Let the fault last. If that is longer than `within`, /healthz/background has to have told of it."""
        until = time.monotonic() + self.seconds
        said: list[str] = []
        heard = told is None
        while time.monotonic() < until:
            if told is not None and not heard:
                answer = self.stack.http.get("/flask/healthz/background")
                said.append(f"{answer.status_code} {answer.text.strip()}")
                heard = answer.status_code == 503 and told(answer.json())
            time.sleep(max(0, min(LOOK_EVERY, until - time.monotonic())))
        if not heard and self.seconds > within:
            self.untold.append(f"after {self.seconds:g} s it still said {said[-1]}")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault."""

    name: str
    #: What is done, for the table.
    text: str
    strike: Callable[[Scene], None]
    #: Seconds that a strike lasts: in the full run, and in the reduced one.
    lasts: float
    briefly: float
    #: How often it strikes in the full run.
    strikes: int
    #: Why it is not in the reduced run; empty if it is.
    full_only: str
    #: Whether it may break connections of clients: it takes away what they talk to.
    breaks_connections: bool
    #: Kinds of jobs that may end as FAILURE, because they cannot do without what it takes away.
    may_fail: frozenset[str]
    #: Whether it needs a stack of its own, whose ledger is on a small disk.
    small_disk: bool
    #: Says what is missing on this machine to bring it about; nothing if nothing is.
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
    """Register a function as a fault of its name."""

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
