import smtplib
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks import email_sending

from jobs.errors import JobFailed
from tests.support.smtp_sink import Sink

JOB = "6f3c1c7e-2a5b-4f0e-9b57-0d6f6f1f6a11"


@given(st.text(max_size=200))
def test_any_subject_makes_a_mail_of_one_line_of_subject(subject: str) -> None:
    message = email_sending.compose(JOB, 3, 5, subject.encode("utf-8", "replace").decode())
    read = message_from_bytes(message.as_bytes(policy=policy.SMTP), policy=policy.default)
    assert set(read.keys()) >= {"From", "To", "Subject", "Message-ID", "Date"}
    assert read["To"] == "user3@example.com"
    assert read["Message-ID"] == f"<{JOB}.3@warren.example.com>"
    assert "This is mail 3 of 5" in read.get_content()


def test_a_server_takes_a_mail_or_refuses_it_or_breaks_off() -> None:
    with Sink(refuse="user2@", break_off="user3@") as sink:
        outcomes = []
        for number in (1, 2, 3):
            server = email_sending.connect(urlsplit(sink.url))
            outcomes.append(email_sending.hand_over(server, email_sending.compose(JOB, number, 3, "Grüße")))
            server.close()
    assert outcomes == [True, False, None]
    assert sink.taken == [f"<{JOB}.1@warren.example.com>", f"<{JOB}.3@warren.example.com>"]


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with Sink() as sink:
        pass
    with pytest.raises(email_sending.Unreachable, match="Connection refused"):
        email_sending.connect(urlsplit(sink.url))


def test_a_server_that_sends_us_away_is_unreachable() -> None:
    with Sink(greeting="421 too busy") as sink, pytest.raises(email_sending.Unreachable, match="it answered 421"):
        email_sending.connect(urlsplit(sink.url))


def test_a_password_is_given_and_a_wrong_one_ends_the_job() -> None:
    with Sink(password="s/cr@t") as sink:
        email_sending.connect(urlsplit(sink.url.replace("//", "//user:s%2Fcr%40t@"))).close()
        with pytest.raises(JobFailed, match="does not accept this user and password") as caught:
            email_sending.connect(urlsplit(sink.url.replace("//", "//user:wrong@")))
    assert "wrong" not in str(caught.value)


def test_a_server_without_passwords_is_unreachable_for_one_who_has_one() -> None:
    with Sink() as sink:
        url = urlsplit(sink.url.replace("smtp://", "smtp://user:secret@"))
        with pytest.raises(email_sending.Unreachable) as caught:
            email_sending.connect(url)
    assert isinstance(caught.value.__cause__, smtplib.SMTPNotSupportedError)
    assert "secret" not in str(caught.value)
