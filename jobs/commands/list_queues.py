"""The queues, now: ``python -m jobs.commands.list_queues [--json]``, for ``list_queues.sh``, in the web container."""

import argparse
import json
import sys
from dataclasses import asdict

from sqlalchemy.exc import SQLAlchemyError

from jobs.broker.depths import BrokerUnavailable, machines, queue_depths
from jobs.ledger import pauses
from jobs.ledger.database import ledger


def main() -> int:
    """Print the queues; return the exit code."""
    parser = argparse.ArgumentParser(prog="list_queues.sh", description="What waits in RabbitMQ, now.")
    parser.add_argument("--json", action="store_true", help="print a JSON array, for other programs")
    arguments = parser.parse_args()
    try:
        depths = queue_depths()
        three = machines()
        with ledger().reading() as connection:
            paused = pauses.paused(connection)
    except BrokerUnavailable as error:
        print(
            f"error: {error}\n\nAccepted jobs are safe in the ledger, and run when it is back. Look with: docker ps",
            file=sys.stderr,
        )
        return 1
    except SQLAlchemyError as error:
        print(f"error: the ledger cannot be read: {error}\n\nLook with: docker ps", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps([{**asdict(depth), "paused": depth.name in paused} for depth in depths]))
        return 0
    print(f"{'queue':<12} {'ready':>8} {'unacknowledged':>15} {'consumers':>10}")
    for depth in depths:
        print(
            f"{depth.name:<12} {depth.ready:>8} {depth.unacknowledged:>15} {depth.consumers:>10}"
            f"{'  paused' if depth.name in paused else ''}"
        )
    if three:
        print("machines:", ", ".join(f"{number} {'ok' if there else 'gone'}" for number, there in three.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
