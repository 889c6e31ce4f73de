"""The mails of a job: the table ``mail``. A row is written before the mail is sent, so that no run sends it again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from jobs.ledger.schema import mail


@dataclass(frozen=True, kw_only=True)
class MailCounts:
    """What has become of the mails of a job."""

    #: The server took it.
    sent: int = 0
    #: The server refused it.
    failed: int = 0
    #: The connection or the worker died while the server had it: it may have arrived, so it is not sent again.
    uncertain: int = 0


def reserved(connection: Connection, job_id: str) -> set[int]:
    """Return the numbers of the mails that earlier runs of a job have begun to send."""
    return set(connection.execute(select(mail.c.number).where(mail.c.job_id == job_id)).scalars())


def reserve(connection: Connection, job_id: str, number: int) -> bool:
    """Note that a mail is about to be sent; ``False`` if a run has done so before: it must not be sent then.

    Two runs at the same moment cannot both succeed: the second violates the primary key, which is an
    :class:`sqlalchemy.exc.IntegrityError` (on SQLite the writers' lock makes it wait and see the row instead).
    """
    this = (mail.c.job_id == job_id) & (mail.c.number == number)
    if connection.execute(select(mail.c.number).where(this)).first():
        return False
    connection.execute(insert(mail).values(job_id=job_id, number=number, sent=None))
    return True


def settle(connection: Connection, job_id: str, number: int, sent: bool) -> None:
    """Note what the server said of a reserved mail."""
    this = (mail.c.job_id == job_id) & (mail.c.number == number)
    connection.execute(update(mail).where(this).values(sent=sent))


def counts(connection: Connection, job_id: str) -> MailCounts:
    """Count the reserved mails of a job by what has become of them."""
    outcomes = connection.execute(select(mail.c.sent).where(mail.c.job_id == job_id)).scalars().all()
    return MailCounts(sent=outcomes.count(True), failed=outcomes.count(False), uncertain=outcomes.count(None))


def remove(connection: Connection, job_ids: Sequence[str]) -> None:
    """Delete the rows of these jobs."""
    connection.execute(delete(mail).where(mail.c.job_id.in_(job_ids)))
