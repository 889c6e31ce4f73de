"""The mails of a job: the table ``mail``. A row is written before the mail is sent, so that no run sends it again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from jobs.ledger import upsert
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
    """Note that a mail is about to be sent; ``False`` if a run has done so before: it must not be sent then."""
    new = upsert.insert(connection.dialect.name, mail).values(job_id=job_id, number=number, sent=None)
    return connection.execute(new.on_conflict_do_nothing().returning(mail.c.number)).first() is not None


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
