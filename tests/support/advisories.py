"""A server that knows of holes: of one package, as OSV does, or as Debian's security tracker does.

POST /osv/NAME                      the package NAME has a hole that is mended in version 99
GET  /tracker/NAME/data/json        so has Debian's source package NAME, and another one that is not mended
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 8000


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_POST(self) -> None:
        """Tell whether the package that is asked for is the one with the hole."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        name = self.path.removeprefix("/osv/")
        self.answer({"vulns": [osv(name)]} if asked == name else {})

    def do_GET(self) -> None:
        """Tell all holes at once."""
        name = self.path.removeprefix("/tracker/").removesuffix("/data/json")
        mended = {"status": "resolved", "fixed_version": "99:1", "urgency": "high"}
        unmended = {"status": "open", "urgency": "low"}
        self.answer(
            {name: {"CVE-1-1": {"releases": {"trixie": mended}}, "CVE-1-2": {"releases": {"trixie": unmended}}}}
        )

    def answer(self, content: Any) -> None:
        """Send a JSON document."""
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def osv(name: str) -> Any:
    """Return a hole as OSV describes it."""
    events = [{"introduced": "0"}, {"fixed": "99"}]
    affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "PYSEC-1-1", "aliases": ["CVE-1-3"], "summary": "a hole", "affected": [affected]}


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
