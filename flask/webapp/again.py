"""Answering a request once more whose connection to the ledger was lost before it wrote anything.

So a PostgreSQL that is renewed, or that gives way to another one, costs its clients some seconds and no request: the
second time connecting waits (see :mod:`jobs.ledger.failover`). What is written is written again by the group commit.
"""

from apiflask import APIFlask
from flask import g
from flask.typing import ResponseReturnValue

from jobs.ledger.failover import was_lost


class Application(APIFlask):
    """APIFlask, but for that."""

    def handle_user_exception(self, e: Exception) -> ResponseReturnValue:
        """Answer what a view raised."""
        if was_lost(e) and not g.get("has_written") and not g.get("is_asked_again"):
            g.is_asked_again = True
            try:
                answer: ResponseReturnValue | None = self.preprocess_request()
                return answer if answer is not None else self.dispatch_request()
            except Exception as error:
                return super().handle_user_exception(error)
        return super().handle_user_exception(e)
