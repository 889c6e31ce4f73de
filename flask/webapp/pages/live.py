"""What open dashboards follow: changes of jobs and queues as parts of the pages, rendered once for all viewers."""

import time

from apiflask import APIBlueprint
from flask import Response, json, request
from sqlalchemy import Connection

from jobs.ledger import queries, samples
from webapp.models.common import PAGE
from webapp.pages import fragments
from webapp.pages.tabs import tally
from webapp.streaming.answer import open_stream
from webapp.streaming.feed import Change, changed_since
from webapp.streaming.payload import event
from webapp.views import history_view

blueprint = APIBlueprint("live", __name__, enable_openapi=False)

#: Seconds between two panels.
PANEL_EVERY = 2.0


class Pages:
    """The channel that open dashboards follow."""

    def __init__(self) -> None:
        # What was told every 2 s, of last time. A newcomer is sent it at once.
        self._panel = b""
        self._next_panel = 0.0
        self._sampled_at = time.time()

    def opening(self, connection: Connection, last_event: float | None) -> bytes:
        """Return the rows that have changed since the last event, and the panel.

        Without a last event the page has just been loaded, and its rows are a moment old.
        """
        moment = last_event if last_event is not None else time.time()
        return self._rows(connection, changed_since(connection, moment)) + self._panel

    def news(self, connection: Connection, change: Change) -> bytes:
        """Return the rows that have changed, new samples, and every 2 s what else the pages show."""
        return self._rows(connection, change) + self._samples(connection) + self._panel_if_due(connection)

    def ended(self) -> bool:
        """Return ``False``: there is always something to show."""
        return False

    def _rows(self, connection: Connection, change: Change) -> bytes:
        if change is None or len(change) > PAGE:
            return event("reset", fragments.rows_html(queries.page(connection, limit=PAGE)))
        return event("jobs", fragments.rows_html(change)) if change else b""

    def _samples(self, connection: Connection) -> bytes:
        views = history_view(samples.since(connection, self._sampled_at))
        if views:
            self._sampled_at = views[-1]["at"]
        return b"".join(event("sample", json.dumps(view)) for view in views)

    def _panel_if_due(self, connection: Connection) -> bytes:
        if time.monotonic() < self._next_panel:
            return b""
        self._next_panel = time.monotonic() + PANEL_EVERY
        parts = {
            **fragments.around_html(connection),
            "panel": fragments.panel_html(connection),
            "counts": json.dumps(tally.counts(connection)),
        }
        self._panel = b"".join(event(name, data) for name, data in parts.items())
        return self._panel


_pages = Pages()


@blueprint.get("/live")
def live() -> Response:
    """Follow what the dashboard shows."""
    return open_stream(_pages, compressed=request.accept_encodings.quality("gzip") > 0)
