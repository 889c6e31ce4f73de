"""The tabs over the list of jobs: one for each situation of a job, with how many are in it."""

import time
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection

from jobs.ledger import queries
from jobs.states import ENDED, RUNNING, State

#: Counting the jobs that are over takes longer the more there are. For so many times as long its answer serves.
SERVES_FOR = 50


@dataclass(frozen=True)
class Tab:
    """A tab: what it is called, and the query of the list that shows its jobs, "" for all."""

    title: str
    status: str
    #: ``true``: only jobs that wait for their time; ``false``: only others.
    scheduled: str = ""


def _tab(title: str, *states: State, scheduled: str = "") -> Tab:
    return Tab(title, ",".join(states), scheduled)


TABS = (
    _tab("All"),
    _tab("Scheduled", State.PENDING, scheduled="true"),
    _tab("Waiting", State.PENDING, scheduled="false"),
    _tab("Running", *RUNNING),
    _tab("Retrying", State.RETRY),
    _tab("Failed", State.FAILURE),
    _tab("Succeeded", State.SUCCESS),
    _tab("Cancelled", State.REVOKED),
)


class Tally:
    """Counts the jobs of each tab."""

    def __init__(self) -> None:
        self._ended: dict[State, int] = {}
        self._good_until = float("-inf")

    def counts(self, connection: Connection) -> dict[str, int]:
        """Return how many jobs each tab has, by its title."""
        now = time.monotonic()
        if now >= self._good_until:
            self._ended = queries.count_in_states(connection, ENDED)
            done = time.monotonic()
            self._good_until = done + SERVES_FOR * (done - now)
        by_state = Counter({str(state): jobs for state, jobs in self._ended.items()})
        for (state, _queue), jobs in queries.unfinished_in_states(connection).items():
            by_state[state] += jobs
        found = {tab.title: sum(by_state[state] for state in tab.status.split(",")) for tab in TABS}
        scheduled = min(queries.count_scheduled(connection), found["Waiting"])  # which one may have left meanwhile
        waiting = found["Waiting"] - scheduled
        return found | {"All": sum(by_state.values()), "Scheduled": scheduled, "Waiting": waiting}


#: What all pages of this process ask.
tally = Tally()
