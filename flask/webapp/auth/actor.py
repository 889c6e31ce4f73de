"""Who is asking."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import g, has_request_context

from jobs.ledger.records import Role


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A person or a program that has shown who it is."""

    #: As the audit calls it: the name of a person, or ``token`` and the name of a token.
    who: str
    role: Role
    #: The name of the token that it has shown. ``None``: the cookie of a session, which a browser sends by itself.
    token: str | None
    #: Whether it would be let in now as well: a stream stays open for long. Works outside of requests, too.
    still_in: Callable[[], bool]

    def may(self, role: Role) -> bool:
        """Tell whether it may do what needs that role."""
        return self.role >= role


def actor() -> Actor | None:
    """Return who has sent the present request; ``None`` outside of requests, and where nobody has to say it."""
    found: Actor | None = g.get("actor") if has_request_context() else None
    return found


def may_change() -> bool:
    """Tell whether forms that change something are of use to whoever has sent the present request."""
    asking = actor()
    return asking is None or asking.may(Role.OPERATOR)


def who() -> str | None:
    """Return its name, for what it submits; ``None`` as above."""
    asking = actor()
    return asking.who if asking is not None else None
