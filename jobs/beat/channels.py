"""The channels that a notice can go to: a web server (``NOTIFY_URL``) and mail (``NOTIFY_MAIL``).

A web server gets what https://www.standardwebhooks.com describes, so that libraries for most languages can verify it.
"""

import base64
import hashlib
import hmac
import http.client
import json
import string
import time
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from email.utils import formataddr, formatdate
from urllib.parse import quote, unquote, urlsplit

from jobs import __version__, smtp
from jobs.ledger.notices import Delivery
from jobs.settings import settings

#: Seconds that a web server may take for one step: the connection, the request, the answer.
TIMEOUT = 5.0
#: Most characters of a mail's subject.
LONGEST_SUBJECT = 150


class NotSent(Exception):
    """The receiver did not say that it has the notice. Why, in words that hold no secret."""


def to_webhook(delivery: Delivery) -> None:
    """Send a notice to ``NOTIFY_URL``; any answer from 200 to 299 means that it was received."""
    url = urlsplit(settings().secret("notify_url"))
    target = quote((url.path or "/") + (f"?{url.query}" if url.query else ""), safe=string.punctuation)
    moment = int(time.time())
    signature = sign(settings().secret("notify_secret"), delivery.id, moment, delivery.body)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Warren/{__version__}",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(moment),
        "webhook-signature": signature,
    }
    # http.client checks certificates, and follows no redirection: a POST would become a GET.
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    with closing(connect(url.hostname or "", url.port, timeout=TIMEOUT)) as connection:
        try:
            connection.request("POST", target, delivery.body.encode(), headers)
            status = connection.getresponse().status
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotSent(f"{url.hostname} cannot be used: {reason}") from error
    if not 200 <= status <= 299:
        raise NotSent(f"{url.hostname} answered {status}")


def sign(secret: str, delivery_id: str, moment: int, body: str) -> str:
    """Return the signature of a notice that is sent at ``moment``, in seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{delivery_id}.{moment}.{body}".encode(), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def to_mail(delivery: Delivery) -> None:
    """Send a notice to the addresses of ``NOTIFY_MAIL``, by the server of ``SMTP_URL``."""
    url = urlsplit(settings().secret("smtp_url"))
    receivers = [address.strip() for address in settings().secret("notify_mail").split(",")]
    user = unquote(url.username or "")
    try:
        with smtp.connected(url) as server:
            # Many servers take mail only from addresses that they know: the user's own, or else a receiver's.
            sent = smtp.hand_over(server, compose(delivery, user if "@" in user else receivers[0], receivers))
    except smtp.Unusable as error:
        raise NotSent(f"the mail server {url.hostname} cannot be used: {error}") from error
    if not sent:
        why = "refused the mail" if sent is False else "did not say whether it has taken the mail"
        raise NotSent(f"the mail server {url.hostname} {why}")


def compose(delivery: Delivery, sender: str, receivers: list[str]) -> EmailMessage:
    """Return a notice as a mail; its Message-ID is the same each time that it is tried."""
    told = json.loads(delivery.body)
    message = EmailMessage()
    message["From"] = formataddr((f"Warren {told['stack']}", sender))
    message["To"] = ", ".join(receivers)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{delivery.id}@warren.example.com>"
    message["Auto-Submitted"] = "auto-generated"
    message["Subject"] = smtp.one_line(f"[{told['stack']}] {told['text']}")[:LONGEST_SUBJECT]
    lines = [told["text"], "", f"Reason: {delivery.reason}", f"Stack:  {told['stack']}"]
    lines += [f"First:  {told['first_at']}", f"Last:   {told['last_at']}"]
    if told["job"]:
        lines.append(f"Job:    {told['job']['task_id']}, see /flask/tasks/{told['job']['task_id']}")
    message.set_content("\n".join([*lines, ""]))
    return message


#: How each channel sends a notice. All of them raise :class:`NotSent`.
SEND: dict[str, Callable[[Delivery], None]] = {"webhook": to_webhook, "mail": to_mail}
