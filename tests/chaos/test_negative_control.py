"""The chaos tests can fail: with the same faults, the same checker finds lost jobs in the textbook stack."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.chaos.drive import Plan, Run, Subject, does_jobs, run
from tests.chaos.faults import FAULTS
from tests.chaos.mailserver import MailServer
from tests.chaos.textbook import LOSING, TEXTBOOK_MIX, Textbook
from tests.support.stack import PREFIX

#: If no job has ended for so many seconds, no other will: nothing in that stack runs lost jobs again.
PATIENCE = 10.0


@pytest.fixture(scope="module")
def textbook(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Return the textbook stack, with a mail server."""
    stack = Textbook(f"{PREFIX}_textbook", tmp_path_factory.mktemp("textbook"))
    mail = MailServer(stack, f"{stack.prefix}_network", f"{stack.prefix}_flask")
    stack.env["SMTP_URL"] = mail.url
    mail.remove()
    try:
        stack.build()
        mail.start()
        yield Subject(name="textbook", stack=stack, mail=mail, well=does_jobs, ledger=False)
    finally:
        mail.remove()
        stack.http.close()
        stack.remove()


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", LOSING)
def test_the_textbook_loses_jobs(name: str, textbook: Subject, plan: Plan, runs: list[Run]) -> None:
    if name != LOSING[0] and not plan.full:
        pytest.skip("only in the full run: one fault is enough to show that the check can fail")
    done = run(textbook, FAULTS[name], replace(plan, mix=tuple(TEXTBOOK_MIX.items()), patience=PATIENCE))
    runs.append(done)
    verdict = done.verdict
    assert verdict.lost or verdict.in_the_middle or verdict.wrong
    # The checker itself loses no jobs: it finds others, and with the right result.
    assert verdict.ended - len(verdict.wrong) > len(done.load.accepted) / 10
