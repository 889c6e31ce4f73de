"""Notices sent to a real web server and a real mail server of the standard library."""

import json
import re
import smtplib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.beat import channels
from jobs.beat.channels import NotSent
from jobs.ledger.notices import Delivery
from jobs.settings import settings
from tests.support import http_sink, smtp_sink
from tests.support.project import ROOT

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOTICE = {
    "id": "6f3c1c7e-2a5b-4f0e-9b57-0d6f6f1f6a11",
    "stack": "my",
    "reason": "failed:divide",
    "text": "A job of the kind divide failed: Grüße\x0b" + "x" * 200,
    "count": 1,
    "first_at": "2026-11-21T19:00:00.000+00:00",
    "last_at": "2026-11-21T19:00:01.000+00:00",
    "job": {"task_id": "5d1e", "task_type": "divide", "error": "Grüße"},
    "health": None,
}
DELIVERY = Delivery(id=str(NOTICE["id"]), reason="failed:divide", body=json.dumps(NOTICE), tries=1)

Keep = Callable[..., None]


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Return what writes secrets, as build.sh does."""
    monkeypatch.setattr(settings(), "secrets_dir", tmp_path)

    def write(**secrets: str) -> None:
        for name, text in secrets.items():
            (tmp_path / name).write_text(f"{text}\n")

    return write


def documented_receiver() -> Callable[[str, dict[str, str], bytes], bool]:
    """Return the function that the documentation gives to its readers."""
    blocks = [
        block
        for page in (ROOT / "docs").rglob("*.md")
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
        if "def genuine(" in block
    ]
    assert len(blocks) == 1
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    genuine: Callable[[str, dict[str, str], bytes], bool] = names["genuine"]
    return genuine


# --- web server -------------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example that implementations of the standard are tested with.
    signature = channels.sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_notice_is_posted_and_the_documented_receiver_knows_it(keep: Keep) -> None:
    with http_sink.Sink() as sink:
        keep(notify_url=f"{sink.url}/hook?token=a%20b", notify_secret=SECRET)
        channels.to_webhook(DELIVERY)
    (taken,) = sink.taken
    assert taken["path"] == "/hook?token=a%20b"
    assert taken["body"] == DELIVERY.body
    assert taken["headers"]["content-type"] == "application/json"
    assert taken["headers"]["webhook-id"] == DELIVERY.id
    genuine = documented_receiver()
    body = taken["body"].encode()
    assert genuine(SECRET, taken["headers"], body)
    assert not genuine(SECRET, taken["headers"], body.replace(b"divide", b"heavy"))
    assert not genuine("whsec_c2VjcmV0", taken["headers"], body)
    moment = int(time.time()) - 3600
    old = {
        "webhook-timestamp": str(moment),
        "webhook-signature": channels.sign(SECRET, DELIVERY.id, moment, taken["body"]),
    }
    assert not genuine(SECRET, taken["headers"] | old, body), "an old one, sent again by somebody else"


@pytest.mark.parametrize(
    ("ending", "path"), [("", "/"), ("?token=1", "/?token=1"), ("/größe", "/gr%C3%B6%C3%9Fe"), ("/a?b=c/d", "/a?b=c/d")]
)
def test_every_kind_of_address_reaches_the_server(keep: Keep, ending: str, path: str) -> None:
    with http_sink.Sink() as sink:
        keep(notify_url=f"{sink.url}{ending}", notify_secret=SECRET)
        channels.to_webhook(DELIVERY)
    assert [taken["path"] for taken in sink.taken] == [path]


@pytest.mark.parametrize("status", [301, 307, 404, 429, 500])
def test_any_other_answer_means_that_it_was_not_received(keep: Keep, status: int) -> None:
    with http_sink.Sink(status=str(status)) as sink:
        keep(notify_url=f"{sink.url}/token", notify_secret=SECRET)
        with pytest.raises(NotSent, match=f"^127.0.0.1 answered {status}$"):
            channels.to_webhook(DELIVERY)
    assert len(sink.taken) == 1, "a redirection is not followed"


def test_a_server_that_does_not_answer_is_given_up_and_its_token_is_not_told(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT", 0.2)
    with http_sink.Sink(slow="1") as sink:
        keep(notify_url=f"{sink.url}/token", notify_secret=SECRET)
        with pytest.raises(NotSent, match=r"127\.0\.0\.1 cannot be used: timed out"):
            channels.to_webhook(DELIVERY)
    with pytest.raises(NotSent, match=r"127\.0\.0\.1 cannot be used: Connection refused"):
        channels.to_webhook(DELIVERY)
    keep(notify_url="http://a..b/token")
    with pytest.raises(NotSent, match=r"^a\.\.b cannot be used: (?!.*token)"):
        channels.to_webhook(DELIVERY)


# --- mail -------------------------------------------------------------------------------------------------------------


def test_a_notice_is_mailed(keep: Keep) -> None:
    with smtp_sink.Sink(password="secret") as sink:
        keep(notify_mail="oncall@example.com, ops@example.com", smtp_url=sink.url.replace("//", "//user:secret@"))
        channels.to_mail(DELIVERY)
    assert sink.taken == [f"<{DELIVERY.id}@warren.example.com>"]


def test_the_mail_says_what_happened_in_its_subject() -> None:
    mail = channels.compose(DELIVERY, "warren@example.com", ["oncall@example.com", "ops@example.com"])
    assert mail["From"] == "Warren my <warren@example.com>"
    assert mail["To"] == "oncall@example.com, ops@example.com"
    assert mail["Subject"].startswith("[my] A job of the kind divide failed: Grüße xxx")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "Job:    5d1e, see /flask/tasks/5d1e" in mail.get_content()


def test_who_sends_the_mail_is_the_user_of_the_server_or_the_first_receiver(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders = []
    monkeypatch.setattr(
        smtplib.SMTP, "send_message", lambda _self, message: senders.append(message["From"].addresses[0].addr_spec)
    )
    with smtp_sink.Sink(password="secret") as sink:
        for user in ("user", "warren%40example.org"):
            keep(notify_mail="oncall@example.com", smtp_url=sink.url.replace("//", f"//{user}:secret@"))
            channels.to_mail(DELIVERY)
    assert senders == ["oncall@example.com", "warren@example.org"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"refuse": "oncall@"}, "127.0.0.1 refused the mail"),
        ({"break_off": "oncall@"}, "127.0.0.1 did not say whether it has taken the mail"),
        ({"greeting": "421 busy"}, "127.0.0.1 cannot be used: it answered 421"),
        ({"password": "other"}, "127.0.0.1 cannot be used: it does not accept this user and password"),
    ],
)
def test_a_mail_that_is_not_taken_is_told(keep: Keep, options: dict[str, Any], why: str) -> None:
    with smtp_sink.Sink(**({"password": "secret"} | options)) as sink:
        keep(notify_mail="oncall@example.com", smtp_url=sink.url.replace("//", "//user:secret@"))
        with pytest.raises(NotSent, match=why):
            channels.to_mail(DELIVERY)
