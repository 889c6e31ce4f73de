"""How long one job takes, from its submission to its result."""

import time

from bench.compare.client import Client, Stream
from bench.compare.contestants import Contestant
from bench.compare.row import Row, Size

#: Jobs per second that others submit, under load.
BACKGROUND_RATE = 50


def idle(contestant: Contestant, size: Size) -> Row:
    """From the submission of a job to its result, one job after the other."""
    return _end_to_end(contestant, size.latency)


def loaded(contestant: Contestant, size: Size) -> Row:
    """The same while others submit jobs, too."""
    others = Stream(contestant.address(), BACKGROUND_RATE)
    others.start()
    try:
        return _end_to_end(contestant, size.latency)
    finally:
        others.stop()


def _end_to_end(contestant: Contestant, seconds: float) -> Row:
    client = Client(contestant.address())
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 2:
        began = time.monotonic()
        task_id = client.submit()
        while not client.done(task_id):
            time.sleep(0.001)
        times.append(time.monotonic() - began)
    times.sort()
    return {"jobs": len(times), "p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)]}
