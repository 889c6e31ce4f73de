"""Mails to test addresses, by SMTP where ``SMTP_URL`` says to which server, else only recorded.

``smtp://[user:password@]host[:port]`` speaks TLS when the server offers STARTTLS, ``smtps://`` always does. The mails
go to user1@example.com, user2@example.com and so on, a domain that is reserved for examples. A mail that the server
refuses has failed; a server that cannot be used at all is tried again later.

A job may run twice, a mail must not be sent twice: see :mod:`jobs.ledger.mails`.
"""

import smtplib
import ssl
import time
from contextlib import suppress
from dataclasses import asdict
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from celery.utils.log import get_task_logger

from jobs.catalogue import EmailParams
from jobs.errors import JobFailed
from jobs.ledger import mails
from jobs.ledger.database import ledger
from jobs.settings import settings
from jobs.task import JobTask, job

logger = get_task_logger(__name__)

SENDER = "Warren <warren@example.com>"
#: Seconds that the server may take for one answer.
TIMEOUT = 15.0
#: Seconds that a run tries to write to the ledger.
PATIENCE = 30.0


class Unreachable(Exception):
    """The server did not answer, or sent us away before it took a mail: to be tried again later."""


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
    # A header is one line, also for those who count form feeds and the like as the end of one.
    message["Subject"] = "".join(char if char.isprintable() else " " for char in subject)
    message.set_content(f"This is mail {number} of {count}, sent by the job {job_id}.\n")
    return message


def _send(task: JobTask, url: SplitResult, number: int, message: EmailMessage) -> None:
    """Send one mail, and keep in the ledger what became of it. Asks for a retry if the server cannot be used."""
    job_id = task.request.id
    # A connection for each mail: the pauses between them are longer than some servers wait.
    try:
        server = connect(url)
    except Unreachable as error:
        raise task.retry(exc=JobFailed(f"The mail server {url.hostname} cannot be used: {error}.")) from error
    try:
        if ledger().insist(lambda connection: mails.reserve(connection, job_id, number), PATIENCE):
            sent = hand_over(server, message)
            if sent is not None:
                ledger().insist(lambda connection: mails.settle(connection, job_id, number, sent), PATIENCE)
    finally:
        _leave(server)


def connect(url: SplitResult) -> smtplib.SMTP:
    """Return a connection that takes mails. Raises :class:`Unreachable`, or :class:`JobFailed` if waiting is no use."""
    host = url.hostname or ""
    server: smtplib.SMTP | None = None
    try:
        if url.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, url.port or 25, timeout=TIMEOUT)
            server.ehlo_or_helo_if_needed()
            if server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        return server
    except OSError as error:  # smtplib's own errors are such, too
        if server is not None:
            server.close()
        if isinstance(error, smtplib.SMTPAuthenticationError):
            raise JobFailed(f"The mail server {host} does not accept this user and password.") from None
        if isinstance(error, smtplib.SMTPResponseException):
            raise Unreachable(f"it answered {error.smtp_code}") from error
        raise Unreachable(error.strerror or str(error) or type(error).__name__) from error


def hand_over(server: smtplib.SMTP, message: EmailMessage) -> bool | None:
    """Give the server a mail; return whether it took it, or ``None`` if the connection broke before it said so."""
    try:
        server.send_message(message)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
        logger.warning("%s was refused: %s", message["Message-ID"], error)
        return False
    except OSError as error:
        logger.warning("%s is uncertain: %s", message["Message-ID"], error)
        return None
    return True


def _leave(server: smtplib.SMTP) -> None:
    with suppress(OSError):
        server.quit()
    server.close()
