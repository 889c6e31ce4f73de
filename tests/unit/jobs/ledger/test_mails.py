import time

from jobs.ledger import mails, moves
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob
from jobs.ledger.schema import mail

JOB = "6f3c1c7e-2a5b-4f0e-9b57-0d6f6f1f6a11"


def test_a_mail_is_reserved_once(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        assert mails.reserve(connection, JOB, 1)
        assert not mails.reserve(connection, JOB, 1)
        assert mails.reserve(connection, JOB, 2)
        assert mails.reserve(connection, JOB, 3)
        mails.settle(connection, JOB, 1, True)
        mails.settle(connection, JOB, 2, False)
        assert mails.reserved(connection, JOB) == {1, 2, 3}
        assert mails.counts(connection, JOB) == mails.MailCounts(sent=1, failed=1, uncertain=1)
        assert mails.counts(connection, "another") == mails.MailCounts()


def test_mails_go_with_their_job(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        for job_id in (JOB, "another"):
            moves.add(connection, NewJob(id=job_id, type="email_sending", queue="export", params={}))
            mails.reserve(connection, job_id, 1)
        moves.cancel(connection, JOB)
        assert moves.expire(connection, time.time() + 1, 10) == 1
        assert connection.execute(mail.select()).scalars().all() == ["another"]
