"""All routes of the web application where people log in, and what docs/security.md says of each."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.project import ROOT

#: What Nginx itself serves, or lets through to the tools.
OF_NGINX = {
    "GET /": "nobody",
    "GET /docs/<page>": "nobody",
    "GET /proxy-health": "nobody",
    "GET /flower/": "admin",
    "GET /prometheus/": "admin",
    "GET /rabbitmq/": "admin",
}

_PROGRAM = """
import json
from webapp import create_app
rules = create_app().url_map.iter_rules()
print(json.dumps([[m, r.rule, r.endpoint] for r in rules for m in sorted(r.methods - {"HEAD", "OPTIONS"})]))
"""


def routes(folder: Path) -> list[str]:
    """Return each route below /flask as ``METHOD /path/<parameter>``; those of the kinds of jobs are one."""
    (folder / "session_keys").write_text("a key for this test alone\n")
    environment = {
        "PYTHONPATH": f"{ROOT}:{ROOT}/flask",
        "DATABASE_URL": f"sqlite:///{folder}/backend.db",
        "SECRETS_DIR": str(folder),
        "AUTH": "on",
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    found = set()
    for method, rule, endpoint in json.loads(done.stdout):
        path = re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"<\1>", rule)
        if method == "POST" and endpoint == "submission." + path.removeprefix("/flask/"):
            path = "/flask/<kind of job>"
        if path.startswith("/flask"):
            found.add(f"{method} {path}")
    return sorted(found)


def documented() -> dict[str, str]:
    """Return the role that each route needs by the table in docs/security.md, or ``nobody``."""
    return dict(_documented())


def _documented() -> Iterator[tuple[str, str]]:
    for role, cell in re.findall(r"^\| (nobody|viewer|operator|admin) \| (.+) \|$", _page(), re.MULTILINE):
        for methods, path in re.findall(r"`([A-Z, ]+) ([^`]+)`", cell):
            for method in methods.split(", "):
                yield f"{method} {path}", role


def _page() -> str:
    return (ROOT / "docs/security.md").read_text()
