"""How many jobs a token may submit in a minute: the setting ``TOKEN_SUBMISSIONS``. The ledger counts them."""

import math
from dataclasses import dataclass, replace

from flask import Response, g
from sqlalchemy import Connection

from jobs.ledger import tokens
from jobs.ledger.records import Allowance
from jobs.settings import settings
from webapp.auth.actor import actor
from webapp.problems import Problem


@dataclass(frozen=True)
class Quota:
    """What the token of the present request may submit."""

    token: str
    limit: int

    def check(self, connection: Connection, jobs: int) -> None:
        """Raise a 429 problem unless so many jobs are left; have the answer say how many are left after these."""
        now = tokens.allowance(connection, self.token, self.limit)
        if jobs > now.left:
            g.allowance = now
            raise self._exceeded(jobs)
        g.allowance = replace(now, left=now.left - jobs)

    def spend(self, connection: Connection, jobs: int) -> None:
        """Count these jobs, with the write that stores them. Raises a 429 problem if others were faster."""
        if not tokens.spend(connection, self.token, jobs, self.limit):
            raise self._exceeded(jobs)

    def _exceeded(self, jobs: int) -> Problem:
        return Problem(429, f"This token may submit {self.limit} jobs in a minute. Too few are left for {jobs} more.")


def quota() -> Quota | None:
    """Return the quota of the present request; ``None`` where nothing is limited."""
    limit = settings().token_submissions
    asking = actor() if limit else None
    return Quota(asking.token, limit) if asking is not None and asking.token is not None else None


def say_what_is_left(answer: Response) -> Response:
    """Add the headers of limits to an answer, if the request had to do with one."""
    told: Allowance | None = g.get("allowance")
    if told is not None:
        reset = str(math.ceil(told.renewed_in))
        answer.headers["RateLimit-Limit"] = str(told.limit)
        answer.headers["RateLimit-Remaining"] = str(told.left)
        answer.headers["RateLimit-Reset"] = reset
        if answer.status_code == 429:
            answer.headers["Retry-After"] = reset
    return answer
