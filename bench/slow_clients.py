"""Measures how much slow clients slow down the others: `python3 -m bench.slow_clients`, from the folder of the project.

Half of them send the head of a request, half of them the body, one byte a second. Requests are sent in turn with and
without them, each at its time, and the times of the answers are compared.
"""

import asyncio
import contextlib
import multiprocessing
import selectors
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from bench.viewers import host_and_port, parser_of_runs, quantile, requests

HEAD = b"POST /flask/heavy HTTP/1.1\r\nHost: localhost\r\n"
#: Sent at once by those whose body is slow.
WHOLE_HEAD = HEAD + b"Content-Length: 1000\r\n\r\n"


class SlowClients:
    """Clients that send one byte a second. Those that the server lets go are counted, and not replaced."""

    def __init__(self, host: str, port: int, *, heads: int, bodies: int) -> None:
        self._clients = [self._connect(host, port, HEAD) for _ in range(heads)]
        self._clients += [self._connect(host, port, WHOLE_HEAD) for _ in range(bodies)]
        self._heads = set(self._clients[:heads])
        self._selector = selectors.DefaultSelector()
        for client in self._clients:
            self._selector.register(client, selectors.EVENT_READ)
        #: What was answered to those that have got an answer.
        self.answers: list[bytes] = []
        #: Seconds from the beginning until each was let go: those with a slow head, and those with a slow body.
        self.heads_gone: list[float] = []
        self.bodies_gone: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @staticmethod
    def _connect(host: str, port: int, first: bytes) -> socket.socket:
        client = socket.create_connection((host, port))
        client.sendall(first)
        client.setblocking(False)
        return client

    def __enter__(self) -> "SlowClients":
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for client in list(self._selector.get_map().values()):
                with contextlib.suppress(OSError):
                    client.fileobj.send(b"x")  # type: ignore[union-attr]
            until = time.monotonic() + 1
            while (left := until - time.monotonic()) > 0 and not self._stop.is_set():
                for key, _ in self._selector.select(min(left, 0.1)):
                    self._listen(key.fileobj)  # type: ignore[arg-type]

    def _listen(self, client: socket.socket) -> None:
        try:
            answer = client.recv(65536)
        except ConnectionError:
            answer = b""
        if answer:
            self.answers.append(answer)
        else:
            self._selector.unregister(client)
            gone = self.heads_gone if client in self._heads else self.bodies_gone
            gone.append(time.monotonic() - self._began)


@contextmanager
def slow(host: str, port: int, count: int) -> Iterator[None]:
    """Keep so many slow clients there for the length of a block, in a process of their own."""
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=_generations, args=(host, port, count, ready, done))
    process.start()
    ready.wait()
    try:
        yield
    finally:
        done.set()
        process.join()


def _generations(host: str, port: int, count: int, ready: Event, done: Event) -> None:
    # A head may take 10 s. New ones come before that.
    while not done.is_set():
        with SlowClients(host, port, heads=count // 2, bodies=count - count // 2):
            ready.set()
            done.wait(8)


def main() -> int:
    """Measure and print the table; return the exit code."""
    parser = parser_of_runs(__doc__)
    parser.add_argument("--clients", type=int, default=500, metavar="N", help="slow clients (default: 500)")
    arguments = parser.parse_args()
    host, port = host_and_port(arguments.url)

    medians: dict[str, dict[int, list[float]]] = {name: {0: [], arguments.clients: []} for name in ("p50", "p99")}
    print(f"{'round':>5} {'slow':>5} {'requests':>9} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    for number in range(arguments.rounds):
        for count in (0, arguments.clients):
            with slow(host, port, count) if count else contextlib.nullcontext():
                times = sorted(asyncio.run(requests(host, port, arguments.rate, arguments.seconds)))
            p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
            medians["p50"][count].append(p50)
            medians["p99"][count].append(p99)
            print(
                f"{number + 1:>5} {count:>5} {len(times):>9} {p50 * 1000:>8.1f} {p99 * 1000:>8.1f}"
                f" {times[-1] * 1000:>8.1f}",
                flush=True,
            )
    print()
    for name, found in medians.items():
        without, with_them = (statistics.median(found[count]) for count in (0, arguments.clients))
        print(f"median {name} with {arguments.clients} slow clients / with none: {with_them / without:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
