"""What the dashboard follows: the changes of jobs and queues as pieces of its pages, rendered once for all viewers."""

import time

from apiflask import APIBlueprint
from flask import Response, json, request
from sqlalchemy import Connection

from jobs.ledger import queries
from webapp import dashboard
from webapp.feed import Change, since
from webapp.models import PAGE
from webapp.streams import event, open_stream
from webapp.views import sample_views

blueprint = APIBlueprint("live", __name__, enable_openapi=False)

#: Seconds between two panels.
PANEL_EVERY = 2.0


class Pages:
    """The kind of stream that a dashboard follows."""

    def __init__(self) -> None:
        # The last one; newcomers hear it at once.
        self._panel = b""
        self._next_panel = 0.0
        self._sampled_at = time.time()

    def opening(self, connection: Connection, last_event: float | None) -> bytes:
        """Return what has changed since then; without a last event, since the page itself was rendered."""
        return self._rows(connection, since(connection, last_event or time.time())) + self._panel

    def news(self, connection: Connection, change: Change) -> bytes:
        """Return the rows that have changed, and now and then the panel of queues and workers."""
        return self._rows(connection, change) + self._samples(connection) + self._panel_now_and_then(connection)

    def over(self) -> bool:
        """Never."""
        return False

    def _rows(self, connection: Connection, change: Change) -> bytes:
        if change is None or len(change) > PAGE:
            return event("reset", dashboard.rows_html(queries.page(connection, limit=PAGE)))
        return event("jobs", dashboard.rows_html(change)) if change else b""

    def _samples(self, connection: Connection) -> bytes:
        views = sample_views(queries.samples(connection, self._sampled_at))
        if views:
            self._sampled_at = views[-1]["at"]
        return b"".join(event("sample", json.dumps(view)) for view in views)

    def _panel_now_and_then(self, connection: Connection) -> bytes:
        if time.monotonic() < self._next_panel:
            return b""
        self._next_panel = time.monotonic() + PANEL_EVERY
        trouble, panel = dashboard.trouble_html(connection), dashboard.panel_html(connection)
        self._panel = event("trouble", trouble) + event("panel", panel)
        return self._panel


_pages = Pages()


@blueprint.get("/live")
def live() -> Response:
    """Follow what the dashboard shows."""
    return open_stream(_pages, compressed=request.accept_encodings.quality("gzip") > 0)
