"""Mails to test addresses, by SMTP where ``SMTP_URL`` says to which server, else only recorded.

The mails go to user1@example.com, user2@example.com and so on, a domain that is reserved for examples. A mail that the
server refuses has failed; a server that cannot be used at all is tried again later.

A job may run twice, a mail must not be sent twice: see :mod:`jobs.ledger.mails`.
"""

import time
from dataclasses import asdict
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any
from urllib.parse import SplitResult, urlsplit

from jobs import smtp
from jobs.catalogue import EmailParams
from jobs.errors import JobFailed
from jobs.ledger import mails
from jobs.ledger.database import ledger
from jobs.settings import settings
from jobs.task import JobTask, job

SENDER = "Warren <warren@example.com>"
#: Seconds that a run tries to write to the ledger.
PATIENCE = 30.0


@job("email_sending")
def email_sending(task: JobTask, params: EmailParams) -> dict[str, Any]:
    """Send the mails; return how many were sent, failed or are uncertain, and the mode: ``smtp`` or ``recorded``."""
    job_id = task.request.id
    url = settings().secret("smtp_url")
    count = params.num_emails
    messages = {number: compose(job_id, number, count, params.subject) for number in range(1, count + 1)}
    with ledger().reading() as connection:
        begun_before = mails.reserved(connection, job_id)
    for number in sorted(set(messages) - begun_before):
        task.report(100 * (number - 1) / count, f"Mail {number} of {count}")
        if url:
            _send(task, urlsplit(url), number, messages[number])
        if number < count:
            time.sleep(params.delay)
    if not url:
        recorded = [
            {"to": mail["To"], "subject": mail["Subject"], "message_id": mail["Message-ID"]}
            for mail in messages.values()
        ]
        return {**asdict(mails.MailCounts(sent=count)), "mode": "recorded", "mails": recorded}
    with ledger().reading() as connection:
        return {**asdict(mails.counts(connection, job_id)), "mode": "smtp"}


def compose(job_id: str, number: int, count: int, subject: str) -> EmailMessage:
    """Return a mail; its Message-ID is the same in every run, so that even a mail server could tell a second copy."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = f"user{number}@example.com"
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{job_id}.{number}@warren.example.com>"
    message["Subject"] = smtp.one_line(subject)
    message.set_content(f"This is mail {number} of {count}, sent by the job {job_id}.\n")
    return message


def _send(task: JobTask, url: SplitResult, number: int, message: EmailMessage) -> None:
    """Send one mail, and keep in the ledger what became of it. Asks for a retry if the server cannot be used."""
    job_id = task.request.id
    try:
        # A connection for each mail: the pauses between them are longer than some servers wait.
        with smtp.connected(url) as server:
            if ledger().insist(lambda connection: mails.reserve(connection, job_id, number), PATIENCE):
                sent = smtp.hand_over(server, message)
                if sent is not None:
                    ledger().insist(lambda connection: mails.settle(connection, job_id, number, sent), PATIENCE)
    except smtp.PasswordRefused:
        raise JobFailed(f"The mail server {url.hostname} does not accept this user and password.") from None
    except smtp.Unusable as error:
        raise task.retry(exc=JobFailed(f"The mail server {url.hostname} cannot be used: {error}.")) from error
