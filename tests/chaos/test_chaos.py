"""No accepted job is lost, whatever breaks, and the stack gets well again by itself.

The reduced set has few jobs, and only the faults that are quick. `./test.sh chaos --jobs 10000` runs everything.
"""

import pytest

from tests.chaos.drive import Plan, Run, Subject, run
from tests.chaos.faults import FAULTS

#: Most seconds that any answer may take.
SLOWEST = 5.0


@pytest.fixture
def subject(name: str, plan: Plan, request: pytest.FixtureRequest) -> Subject:
    """Return the stack that this fault strikes."""
    fault = FAULTS[name]
    if fault.full_only and not plan.full:
        pytest.skip(f"only in the full run: {fault.full_only}")
    if missing := fault.missing():
        pytest.skip(missing)
    found: Subject = request.getfixturevalue("warren_on_a_small_disk" if fault.small_disk else "warren")
    return found


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", FAULTS)
def test_every_accepted_job_is_accounted_for(name: str, subject: Subject, plan: Plan, runs: list[Run]) -> None:
    fault = FAULTS[name]
    done = run(subject, fault, plan)
    runs.append(done)
    load, verdict = done.load, done.verdict

    assert verdict.lost == []
    assert verdict.in_the_middle == []
    assert verdict.wrong == {}
    assert verdict.mails_twice == 0
    assert len(load.accepted) == plan.jobs
    assert verdict.ended == plan.jobs
    assert set(load.refused) <= {"503"}
    assert fault.breaks_connections or not load.no_answer, load.no_answer
    assert done.untold == []
    # The reduced run only reports the time, because the machine may be busy with other things.
    assert load.slowest < SLOWEST or not plan.full
