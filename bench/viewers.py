#!/usr/bin/env python3
"""Measures how much open dashboards slow down other requests.

It sends POST /flask/heavy in turn with many viewers and with none, and compares the times of the answers. Each request
is sent at its time, even if the one before has no answer yet: so one slow answer does not keep other requests back and
out of the figures (Tene, "How NOT to Measure Latency").
"""

import argparse
import asyncio
import multiprocessing
import selectors
import socket
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit

BODY = b'{"seconds": 0}'


def main() -> int:
    """Measure and print the table; return the exit code."""
    parser = parser_of_runs(__doc__)
    parser.add_argument("--viewers", type=int, default=200, metavar="N", help="open dashboards (default: 200)")
    arguments = parser.parse_args()
    host, port = host_and_port(arguments.url)

    p99: dict[int, list[float]] = {0: [], arguments.viewers: []}
    print(f"{'round':>5} {'viewers':>8} {'requests':>9} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'MB seen':>8}")
    for number in range(arguments.rounds):
        for viewers in (0, arguments.viewers):
            with watching(host, port, viewers) as seen:
                times = sorted(asyncio.run(requests(host, port, arguments.rate, arguments.seconds)))
                p99[viewers].append(quantile(times, 0.99))
            print(
                f"{number + 1:>5} {viewers:>8} {len(times):>9} {quantile(times, 0.5) * 1000:>8.1f}"
                f" {p99[viewers][-1] * 1000:>8.1f} {times[-1] * 1000:>8.1f} {seen.value / 1e6:>8.1f}",
                flush=True,
            )
    without, with_viewers = (statistics.median(p99[viewers]) for viewers in (0, arguments.viewers))
    print(f"\nmedian p99 with {arguments.viewers} viewers / with none: {with_viewers / without:.2f}")
    return 0


def parser_of_runs(description: str | None) -> argparse.ArgumentParser:
    """Return a parser for what all such measurements ask: the stack, and how requests are sent to it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000", help="the running stack (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=100, metavar="R", help="requests per second (default: 100)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="length of each run (default: 10)")
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="runs of each kind (default: 4)")
    return parser


def host_and_port(url: str) -> tuple[str, int]:
    """Return where to connect to for an address."""
    address = urlsplit(url)
    return address.hostname or "localhost", address.port or 80


def quantile(ordered: list[float], share: float) -> float:
    """Return a quantile of an ordered list: with a share of 0.99 the value that 99 % of the list do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


# --- requests ---------------------------------------------------------------------------------------------------------


async def requests(host: str, port: int, rate: float, seconds: float) -> list[float]:
    """Send `rate` requests per second. Return the seconds that each took, from the time at which it had to be sent."""
    idle: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
    head = f"POST /flask/heavy HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    times: list[float] = []

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while idle.qsize():
            reader, writer = idle.get_nowait()
            if not reader.at_eof():  # the server closes what was not used for long
                return reader, writer
            writer.close()
        return await asyncio.open_connection(host, port)

    async def one(due: float) -> None:
        reader, writer = await connected()
        writer.write(head + BODY)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"not accepted: {answer.splitlines()[0].decode()}")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        times.append(loop.time() - due)
        idle.put_nowait((reader, writer))

    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0, due - loop.time()))
            group.create_task(one(due))
    return times


# --- viewers ----------------------------------------------------------------------------------------------------------


@contextmanager
def watching(host: str, port: int, count: int) -> Iterator["Synchronized[int]"]:
    """Keep `count` dashboards open in a separate process; yield the number of bytes that they have received."""
    seen = multiprocessing.Value("Q", 0)
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=_watch, args=(host, port, count, seen, ready, done))
    process.start()
    while not ready.wait(0.1):
        if not process.is_alive():
            raise SystemExit(f"error: {count} streams could not be opened\n\nIs WEB_STREAMS large enough?")
    try:
        yield seen
    finally:
        done.set()
        process.join()


def _watch(
    host: str,
    port: int,
    count: int,
    seen: "Synchronized[int]",
    ready: Event,
    done: Event,
) -> None:
    selector = selectors.DefaultSelector()
    for _ in range(count):
        stream = socket.create_connection((host, port))
        stream.sendall(f"GET /flask/live HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        if not stream.recv(4096).startswith(b"HTTP/1.1 200"):
            sys.exit(1)
        selector.register(stream, selectors.EVENT_READ, stream)
    ready.set()
    while not done.is_set():
        for key, _ in selector.select(0.2):
            seen.value += len(key.data.recv(1 << 16))


if __name__ == "__main__":
    sys.exit(main())
