"""Who did what: a page of it, the same for programs, and all of it as JSON lines."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from flask import Response, json, jsonify
from pydantic import Field

from jobs.ledger import audit
from jobs.ledger.database import ledger
from jobs.ledger.records import AuditEntry
from webapp.api.openapi import error_responses
from webapp.models import PageQuery, Strict, Timestamp
from webapp.negotiation import wants_html
from webapp.paging import cursor_after, position_of
from webapp.rendering import render
from webapp.views import timestamp

blueprint = APIBlueprint("audit", __name__, tag="Service")

#: Entries of the export that are in memory at a time.
CHUNK = 1000


class AuditQuery(PageQuery):
    """Query of the audit."""

    who: str | None = Field(None, max_length=80, description="Only what this person or token did.")
    subject: str | None = Field(None, max_length=128, description="Only what was done to this job, person or token.")


class AuditEntryView(Strict):
    """Somebody did something, or tried to."""

    at: Timestamp
    who: str
    role: str
    address: str
    action: str
    subject: str
    outcome: str
    detail: str


class AuditPage(Strict):
    """A page of the audit, newest first."""

    data: list[AuditEntryView]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


@blueprint.get("/audit")
@blueprint.input(AuditQuery, location="query")
@blueprint.output(AuditPage)
@blueprint.doc(summary="Who did what, newest first", responses=error_responses(422, 503))
def listing(query_data: AuditQuery) -> Response:
    """Return a page of the audit; a browser gets it as a page."""
    with ledger().reading() as connection:
        found = audit.page(
            connection,
            limit=query_data.limit + 1,
            before=position_of(query_data.cursor) if query_data.cursor is not None else None,
            who=query_data.who,
            subject=query_data.subject,
        )
    shown = found[: query_data.limit]
    after = cursor_after(shown[-1][0]) if len(found) > query_data.limit else None
    if wants_html():
        rows = [entry for _, entry in shown]
        page = render("audit.html", rows=rows, after=after, who=query_data.who, subject=query_data.subject)
        return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store"})
    return jsonify(data=[_view(entry) for _, entry in shown], next=after)


@blueprint.get("/audit.jsonl")
@blueprint.doc(hide=True)
def export() -> Response:
    """Send all of it, oldest first, one JSON object a line."""
    return Response(_lines(), mimetype="application/jsonl")


def _lines() -> Iterator[str]:
    number = 0
    while True:
        with ledger().reading() as connection:
            found = audit.after(connection, number, CHUNK)
        if not found:
            return
        number = found[-1][0]
        yield "".join(json.dumps(_view(entry)) + "\n" for _, entry in found)


def _view(entry: AuditEntry) -> dict[str, Any]:
    return asdict(entry) | {"at": timestamp(entry.at)}
