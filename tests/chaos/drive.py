"""One run: a load, a fault that strikes meanwhile, the recovery, and the verdict."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.checker import Verdict, hear_the_ledger, judge
from tests.chaos.fault import Fault, Scene
from tests.chaos.load import MIX, Load, drawn
from tests.chaos.mailserver import MailServer
from tests.support.stack import Stack, wait_until

#: Jobs for each fault in the reduced run.
FEW_JOBS = 300
#: How many clients submit at the same time.
CLIENTS = 16
#: Seconds of load that each strike gets in addition to its own length: before, between and after the strikes.
MARGIN = 5.0
#: Most jobs that are submitted per second: what two cores can do while they also run the stack.
RATE = 250
#: If no job has ended for so many seconds, the remaining jobs count as lost, or as left in the middle.
PATIENCE = 60.0
#: After a strike, everything has to be well again within so many seconds.
RECOVERY_TIMEOUT = 240.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is tested: Warren, or something that is compared with it."""

    name: str
    stack: Stack
    mail: MailServer
    #: Tells whether all parts of the stack are well.
    well: Callable[[Stack], bool]
    #: Whether it has a ledger that can be read.
    ledger: bool = True


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How large a run is."""

    jobs: int = FEW_JOBS
    full: bool = False
    seed: str
    mix: tuple[tuple[str, int], ...] = tuple(MIX.items())
    patience: float = PATIENCE


@dataclass(frozen=True, kw_only=True)
class Run:
    """The outcome of a run: one line of the report."""

    subject: str
    fault: Fault
    strikes: int
    #: Seconds that each strike was made to last; 0 for a fault that is over at once.
    lasted: float
    load: Load
    verdict: Verdict
    #: Seconds from the end of the last strike until everything was well again.
    recovered: float
    #: What the health page should have reported and did not.
    untold: list[str]


def run(subject: Subject, fault: Fault, plan: Plan) -> Run:
    """Let the fault strike at random moments of a load, wait until the stack is well again, and check every job."""
    stack, mail = subject.stack, subject.mail
    dice = random.Random(f"{plan.seed}/{fault.name}")
    strikes = fault.strikes if plan.full else 1
    lasts = fault.lasts if plan.full else fault.briefly
    span = max(strikes * (lasts + MARGIN), plan.jobs / RATE)
    mix = dict(plan.mix)
    jobs = [drawn(dice, mix, f"{plan.seed}/{fault.name}/{number}") for number in range(plan.jobs)]
    load = Load(stack, jobs, span)
    scene = Scene(stack=stack, mail=mail, dice=dice, seconds=lasts)
    # Divide the load into as many parts as there are strikes; each strike falls into one of them. The load goes on a
    # little after the last strike.
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
    if not all(map(stack.is_healthy, stack.containers())):
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
