"""The check can fail: on a machine that dies, the textbook stack loses jobs."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.chaos.textbook import Textbook
from tests.cluster.conftest import StackOnMachine, carry_layers, on_this_machine
from tests.cluster.table import Line
from tests.support.engines import Machine, machines
from tests.support.stack import BUILD_TIMEOUT, PREFIX, run, wait_until

pytestmark = pytest.mark.timeout(2 * BUILD_TIMEOUT)

IMAGES = ("python", "flask", "rabbitmq", "nginx")
#: If no job has ended for so many seconds, no other will: nothing in that stack runs lost jobs again.
PATIENCE = 10.0


class TextbookOnMachine(StackOnMachine, Textbook):
    """The textbook stack, built on another machine."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        super().__init__(machine, folder, prefix=f"{PREFIX}_textbook")

    def succeeded(self, jobs: list[str]) -> int:
        return sum(self.status(job)["status"] == "SUCCESS" for job in jobs)

    def does_jobs(self) -> bool:
        return bool(self.wait_state(self.submit_heavy(), "SUCCESS", timeout=5))


@pytest.fixture
def textbook(jobs: int, engines: None, place: Path) -> Iterator[TextbookOnMachine]:
    with machines(place / "m", 1) as (machine,):
        stack = TextbookOnMachine(machine, place / "textbook")
        run(["bench/textbook/build.sh", "--images"], env=on_this_machine(stack), timeout=BUILD_TIMEOUT)
        carry_layers([f"{stack.prefix}_{name}" for name in IMAGES], [machine])
        stack.run("bench/textbook/build.sh", timeout=BUILD_TIMEOUT)
        yield stack
        stack.http.close()


def test_the_textbook_loses_jobs_with_its_machine(textbook: TextbookOnMachine, jobs: int, lines: list[Line]) -> None:
    accepted: list[str] = []

    def submit() -> None:
        try:
            while True:
                # Longer than it takes to submit one: so all processes of the worker are busy.
                accepted.append(textbook.submit_heavy(0.3))
        except httpx.HTTPError:  # the machine is dead
            return

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(submit)
        wait_until(lambda: len(accepted) > jobs, 300, "jobs are accepted")
        textbook.machine.die()
    began = time.monotonic()
    textbook.machine.start()
    wait_until(textbook.does_jobs, 300, "it does jobs again")
    back_after = time.monotonic() - began

    ended, changed_at = -1, time.monotonic()
    while time.monotonic() < changed_at + PATIENCE:
        if (now := textbook.succeeded(accepted)) != ended:
            ended, changed_at = now, time.monotonic()
        time.sleep(1)
    lost = len(accepted) - ended
    assert lost
    assert ended > 0  # it finds others
    what = "for comparison, the [textbook](reliability.md) on one machine that dies, and comes back"
    lines.append(Line(what, len(accepted), lost=lost, back_after=back_after))
