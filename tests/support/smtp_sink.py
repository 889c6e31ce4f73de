"""A mail server for tests that keeps only the Message-ID of each mail it was given; the standard library is enough.

As a program, `python smtp_sink.py password=secret slow=3`, it listens on port 2525 and prints the Message-IDs.
"""

import base64
import re
import socketserver
import sys
import threading
import time
from types import TracebackType
from typing import Self

MESSAGE_ID = re.compile(rb"^Message-ID: *(\S+)", re.MULTILINE | re.IGNORECASE)


class Sink(socketserver.ThreadingTCPServer):
    """A mail server; `with` serves for the length of a block."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        refuse: str = "nobody",
        break_off: str = "nobody",
        slow: float = 0,
        greeting: str = "220 sink",
        password: str = "",
    ) -> None:
        """Listen; see `Session` for what the other arguments do."""
        super().__init__(address, Session)
        #: Recipients that begin so are refused.
        self.refuse = refuse
        #: To those that begin so mail is taken, and the connection ended without an answer.
        self.break_off = break_off
        #: Seconds between taking a mail and saying so.
        self.slow = float(slow)
        self.greeting = greeting
        #: What clients have to know, whatever their name; empty: they are not asked.
        self.password = password
        self.taken: list[str] = []
        self._printing = threading.Lock()

    @property
    def url(self) -> str:
        """Return its address, as SMTP_URL has it."""
        host, port = self.server_address[:2]
        return f"smtp://{host!s}:{port}"

    def take(self, data: bytes) -> None:
        """Keep the Message-ID of a mail, and print it."""
        found = MESSAGE_ID.search(data)
        message_id = found[1].decode() if found else "no Message-ID"
        self.taken.append(message_id)
        with self._printing:  # each on a line of its own
            print(message_id, flush=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class Session(socketserver.StreamRequestHandler):
    """One connection: as much of RFC 5321 as smtplib needs."""

    server: Sink

    def handle(self) -> None:
        """Answer until the client leaves."""
        self._say(self.server.greeting)
        recipient = ""
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self._say("250-sink\r\n250 AUTH PLAIN" if self.server.password else "250 sink")
            elif verb == b"AUTH":
                given = base64.b64decode(line.split()[-1]).decode().rpartition("\0")[2]
                self._say("235 welcome" if given == self.server.password else "535 no")
            elif verb == b"RCPT":
                recipient = line.decode().partition("<")[2]
                self._say("550 no such user" if recipient.startswith(self.server.refuse) else "250 ok")
            elif verb == b"DATA":
                self._say("354 go on")
                self.server.take(b"".join(iter(self.rfile.readline, b".\r\n")))
                if recipient.startswith(self.server.break_off):
                    return
                time.sleep(self.server.slow)
                self._say("250 taken")
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


if __name__ == "__main__":
    options = dict(option.split("=") for option in sys.argv[1:])
    Sink(("0.0.0.0", 2525), **options).serve_forever()  # type: ignore[arg-type]
