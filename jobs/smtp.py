"""The mail server of ``SMTP_URL``: how to reach it, and how to hand it a mail.

``smtp://[user:password@]host[:port]`` speaks TLS when the server offers STARTTLS, ``smtps://`` always does.
"""

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote

logger = logging.getLogger(__name__)

#: Seconds that the server may take for one answer.
TIMEOUT = 15.0


class Unusable(Exception):
    """The server did not answer, or sent us away before it took a mail: to be tried again later."""


class PasswordRefused(Unusable):
    """The server does not accept the user and password of ``SMTP_URL``."""


@contextmanager
def connected(url: SplitResult) -> Iterator[smtplib.SMTP]:
    """Yield a connection that takes mails. Raises :class:`Unusable`."""
    server = _connect(url)
    try:
        yield server
    finally:
        with suppress(OSError):
            server.quit()
        server.close()


def _connect(url: SplitResult) -> smtplib.SMTP:
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
            raise PasswordRefused("it does not accept this user and password") from None
        if isinstance(error, smtplib.SMTPResponseException):
            raise Unusable(f"it answered {error.smtp_code}") from error
        raise Unusable(error.strerror or str(error) or type(error).__name__) from error


def hand_over(server: smtplib.SMTP, message: EmailMessage) -> bool | None:
    """Give the server a mail; return whether it took it, or ``None`` if the connection broke before it said so.

    A mail to several addresses counts as taken if the server took it for at least one.
    """
    try:
        refused = server.send_message(message)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
        logger.warning("%s was refused: %s", message["Message-ID"], error)
        return False
    except OSError as error:
        logger.warning("%s is uncertain: %s", message["Message-ID"], error)
        return None
    if refused:
        logger.warning("%s was refused for: %s", message["Message-ID"], ", ".join(refused))
    return True


def one_line(text: str) -> str:
    """Return a text as a header can have it, also for those who count form feeds and the like as the end of a line."""
    return "".join(char if char.isprintable() else " " for char in text)
