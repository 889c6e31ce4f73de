"""What each route needs. docs/security.md has the table, and a test compares it with all routes."""

from jobs.ledger.records import Role

#: Open to everybody: whether the web answers, the figures (which Nginx does not pass on), the way in, the
#: documentation, and how somebody wants to see the pages.
OPEN = {
    "health.web",
    "scrape.metrics",
    "login.page",
    "login.enter",
    "documentation.static",
    "documents.show",
    "actions.keep_preferences",
}
#: What changes something, and a viewer may do all the same: it is about themselves.
OWN = {"login.change_password", "login.leave", "login.leave_everywhere"}
#: They submit a job, although they are asked for with GET.
CHANGING_GETS = {"submission.heavy_from_a_browser"}
#: Blueprints for administrators.
FOR_ADMINS = {"admin", "audit"}

#: Methods that only ask (RFC 9110, 9.2.1).
SAFE = {"GET", "HEAD", "OPTIONS"}


def changes(endpoint: str | None, method: str) -> bool:
    """Tell whether a request may change something."""
    return method not in SAFE or endpoint in CHANGING_GETS


def needed(endpoint: str | None, method: str) -> Role | None:
    """Return the role that a request needs; ``None`` if it is open to everybody.

    A route that is not named anywhere is not open: it needs a viewer, or an operator if it changes something. The same
    goes for an address that leads nowhere, which has no endpoint.
    """
    if endpoint in OPEN:
        return None
    if endpoint is not None and endpoint.partition(".")[0] in FOR_ADMINS:
        return Role.ADMIN
    if endpoint in OWN:
        return Role.VIEWER
    return Role.OPERATOR if changes(endpoint, method) else Role.VIEWER
