"""What a run is when nothing else is asked for: it ends by itself, and without a web page it leaves a report."""

import argparse
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from locust import events

#: Where reports go. Git ignores it.
REPORTS = Path(__file__).parent / "reports"


def set_defaults(*, users: int, spawn_rate: float, run_time: int, classes: tuple[str, ...]) -> None:
    """Set what holds unless options, environment or configuration say otherwise: as options, and on the web page.

    ``spawn_rate`` is in users per second, ``run_time`` in seconds, ``classes`` are names of user classes.
    """

    def into(parser: Any, **_: Any) -> None:
        parser.set_defaults(num_users=users, spawn_rate=spawn_rate, run_time=run_time)
        if not parser.get_default("user_classes"):  # LOCUST_USER_CLASSES is not set
            parser.set_defaults(user_classes=list(classes))

    events.init_command_line_parser.add_listener(into)


def positive(text: str) -> float:
    """Return the number that an option was given. Raises ArgumentTypeError unless it is above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not {text}")
    return number


@events.init.add_listener
def wake_the_clock(**_: Any) -> None:
    """Let gevent look at its clock, which stands still while modules load: --run-time would count that time, too."""
    time.sleep(0.01)


@events.init.add_listener
def write_report(environment: Any, **_: Any) -> None:
    """Let a run without a web page write an HTML report, and say at the very end where it is."""
    options = environment.parsed_options
    if options.worker or not options.headless:
        return
    if not options.html_file:
        options.html_file = str(REPORTS / f"{datetime.now():%Y-%m-%d_%H.%M.%S}.html")

    @events.quit.add_listener
    def tell(**_: Any) -> None:
        if Path(options.html_file).exists():  # a run that was ended by SIGTERM has none
            print(f"Report: {options.html_file}", flush=True)
