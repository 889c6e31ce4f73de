"""A web server for tests that keeps each request it was given; the standard library is enough.

As a program, `python http_sink.py slow=3`, it listens on port 8080 and prints each request as a line of JSON. Its
options can be changed by a GET, such as `/?status=500`.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


class Sink(ThreadingHTTPServer):
    """A web server; `with` serves for the length of a block."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0), **options: str) -> None:
        super().__init__(address, Handler)
        self.options = options
        #: Of each request: `path`, `headers` with names in small letters, and `body`.
        self.taken: list[dict[str, Any]] = []
        self._printing = threading.Lock()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    @property
    def notices(self) -> list[dict[str, Any]]:
        """Return what the bodies say."""
        return [json.loads(request["body"]) for request in self.taken]

    def take(self, request: dict[str, Any]) -> None:
        """Keep a request, and print it."""
        self.taken.append(request)
        with self._printing:  # each on a line of its own
            print(json.dumps(request), flush=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection. The option `status` is what a POST is answered, `slow` the seconds until then."""

    server: Sink

    def do_POST(self) -> None:
        """Keep the request, and answer as the options say."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.take({"path": self.path, "headers": headers, "body": body})
        time.sleep(float(self.server.options.get("slow", 0)))
        self._answer(int(self.server.options.get("status", 204)))

    def do_GET(self) -> None:
        """Change the options."""
        self.server.options.update(parse_qsl(urlsplit(self.path).query))
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Location", "/elsewhere")  # for a redirection, which nobody is to follow
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Print requests only."""


if __name__ == "__main__":
    Sink(("0.0.0.0", 8080), **dict(option.split("=") for option in sys.argv[1:])).serve_forever()
