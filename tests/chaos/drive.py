"""One run: a load, the fault that strikes meanwhile, the recovery, and the verdict."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.checker import Verdict, hear_the_ledger, judge
from tests.chaos.fault import Fault, Scene
from tests.chaos.load import MIX, Load, drawn
from tests.chaos.mailserver import MailServer
from tests.support.stack import Stack, wait_until

#: Jobs per fault in the reduced run.
FEW_JOBS = 300
#: Clients that submit at the same time.
CLIENTS = 16
#: Seconds of load before, between and after the strikes, for each of them.
MARGIN = 5.0
#: Most jobs submitted in a second: what two cores do beside the stack itself.
RATE = 250
#: Seconds without any job ending, after which those that have not are lost, or left in the middle.
PATIENCE = 60.0
#: Seconds within which everything has to be healthy again.
RECOVERY_TIMEOUT = 240.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is tested: Warren, or something that is compared with it."""

    name: str
    stack: Stack
    mail: MailServer
    #: Whether all of it is well.
    well: Callable[[Stack], bool]
    #: Whether it has a ledger that can be read.
    ledger: bool = True


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of a run."""

    jobs: int = FEW_JOBS
    full: bool = False
    seed: str
    mix: tuple[tuple[str, int], ...] = tuple(MIX.items())
    patience: float = PATIENCE


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a run: a line of the report."""

    subject: str
    fault: Fault
    strikes: int
    #: Seconds that each strike lasted by definition.
    lasted: float
    load: Load
    verdict: Verdict
    #: Seconds from the end of the last strike until all was well again.
    recovered: float
    untold: list[str]


def run(subject: Subject, fault: Fault, plan: Plan) -> Run:
    """Let the fault strike at random moments of a load, wait until the stack is well again, and judge."""
    stack, mail = subject.stack, subject.mail
    dice = random.Random(f"{plan.seed}/{fault.name}")
    strikes = fault.strikes if plan.full else 1
    lasts = fault.lasts if plan.full else fault.briefly
    span = max(strikes * (lasts + MARGIN), plan.jobs / RATE)
    mix = dict(plan.mix)
    jobs = [drawn(dice, mix, f"{plan.seed}/{fault.name}/{number}") for number in range(plan.jobs)]
    load = Load(stack.url, jobs, span)
    scene = Scene(stack=stack, mail=mail, dice=dice, seconds=lasts)
    # One in each of as many parts of the load, which goes on a little after the last.
    part = 0.9 * plan.jobs / strikes
    moments = [int(part * (number + dice.uniform(0.1, 0.9))) for number in range(strikes)]
    mails_before = len(mail.message_ids())
    [(last_row,)] = stack.ledger("SELECT coalesce(max(seq), 0) FROM job") if subject.ledger else [(0,)]
    with load.running(CLIENTS):
        for moment in moments:
            load.wait_for(moment)
            fault.strike(scene)
        over = time.monotonic()
        wait_until(lambda: subject.well(stack), RECOVERY_TIMEOUT, f"all is well again after: {fault.text}")
        recovered = time.monotonic() - over
    verdict = judge(
        load,
        stack.http,
        lambda: mail.message_ids()[mails_before:],
        patience=plan.patience,
        may_fail=fault.may_fail,
    )
    if subject.ledger:
        rows = stack.ledger("SELECT id, state, attempts FROM job WHERE seq > ?", last_row)
        hear_the_ledger(verdict, load, {task_id: (state, attempts) for task_id, state, attempts in rows})
    return Run(
        subject=subject.name,
        fault=fault,
        strikes=strikes,
        lasted=lasts,
        load=load,
        verdict=verdict,
        recovered=recovered,
        untold=scene.untold,
    )


def is_well(stack: Stack) -> bool:
    """Tell whether every container is healthy, the health page says so, and a job that is sent now is done."""
    if not all(stack.health(container) == "healthy" for container in stack.containers()):
        return False
    if stack.http.get("/flask/healthz/background").status_code != 200:
        return False
    return does_jobs(stack)


def does_jobs(stack: Stack) -> bool:
    """Send a job and wait until it is done."""
    answer = stack.http.post("/flask/add", json={"a": 1, "b": 2})
    task_id = answer.json()["task_id"]
    wait_until(lambda: stack.status(task_id)["status"] == "SUCCESS", 60, "a job is done")
    return True
