"""The load: wrk in a container. It needs far less processor time for a request than any of the servers."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from bench.compare.client import BODY, HOST
from bench.compare.contestants import PREFIX, ROOT, docker

CONNECTIONS = 32
TOOLS = f"{PREFIX}_tools"


@dataclass(frozen=True)
class Load:
    """What wrk reports; the times of answers in seconds."""

    answers: int
    seconds: float
    p50: float
    p99: float
    #: Answers with a status of 400 or more, and requests without an answer.
    refused: int
    broken: int

    @property
    def good(self) -> int:
        """Return the number of requests that got what they asked for."""
        return self.answers - self.refused


def prepare() -> None:
    """Build the image with the tools."""
    base = os.environ.get("BASE_IMAGE") or "warren_base:trixie"
    folder = ROOT / "bench/compare"
    docker("build", "--tag", TOOLS, "--build-arg", f"BASE={base}", "--file", f"{folder}/Dockerfile.tools", str(folder))


def submit(address: str, seconds: float, *headers: str, scheme: str = "http") -> Load:
    """Submit `add` jobs for so long."""
    return _run(f"{scheme}://{address}:8080/flask/add", seconds, headers, BODY)


def get(address: str, path: str, seconds: float) -> Load:
    """Ask for a page for so long."""
    return _run(f"http://{address}:8080{path}", seconds, ())


def _run(url: str, seconds: float, headers: Sequence[str], *body: str) -> Load:
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(CONNECTIONS),
        "--duration",
        f"{seconds:g}s",
        "--timeout",
        "10s",
        "--header",
        f"Host: {HOST}",
        *chain.from_iterable(("--header", header) for header in headers),
    ]
    mount = f"{ROOT}/bench/compare/load.lua:/load.lua:ro"
    printed = docker(
        *("run", "--rm", "--network", "host", "--volume", mount, TOOLS),
        *(*command, "--script", "/load.lua", url, "--", *body),
    )
    return Load(**json.loads(printed.splitlines()[-1]))
