"""Who did what: a page of it, and all of it as JSON lines."""

from collections.abc import Iterator

from apiflask import APIBlueprint
from flask import Response, json, jsonify
from pydantic import BaseModel, Field

from jobs.ledger import audit
from jobs.ledger.database import ledger
from webapp.api.openapi import error_responses
from webapp.models.common import Timestamp
from webapp.models.service import AuditQuery
from webapp.operations import list_audit
from webapp.views import audit_view

blueprint = APIBlueprint("audit", __name__, tag="Service")

#: Entries of the export that are in memory at a time.
CHUNK = 1000


class AuditEntryView(BaseModel):
    """Somebody did something, or tried to."""

    at: Timestamp
    who: str
    role: str
    address: str
    action: str
    subject: str
    outcome: str
    detail: str


class AuditPage(BaseModel):
    """A page of the audit, newest first."""

    data: list[AuditEntryView]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


@blueprint.get("/audit")
@blueprint.input(AuditQuery, location="query")
@blueprint.output(AuditPage)
@blueprint.doc(summary="Who did what, newest first", responses=error_responses(422, 503))
def listing(query_data: AuditQuery) -> Response:
    """Return a page of the audit."""
    entries, after = list_audit(query_data)
    return jsonify(data=[audit_view(entry) for entry in entries], next=after)


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
        yield "".join(json.dumps(audit_view(entry)) + "\n" for _, entry in found)
