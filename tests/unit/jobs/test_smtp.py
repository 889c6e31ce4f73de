"""Mails handed to a real server of the standard library."""

import smtplib
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest

from jobs import smtp
from tests.support.smtp_sink import Sink


def mail(number: int, *more: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "warren@example.com"
    message["To"] = ", ".join([f"user{number}@example.com", *more])
    message["Message-ID"] = f"<{number}@example.com>"
    message["Subject"] = "Grüße"
    return message


def test_a_server_takes_a_mail_or_refuses_it_or_breaks_off() -> None:
    with Sink(refuse="user2@", break_off="user3@") as sink:
        outcomes = []
        for number in (1, 2, 3):
            with smtp.connected(urlsplit(sink.url)) as server:
                outcomes.append(smtp.hand_over(server, mail(number)))
    assert outcomes == [True, False, None]
    assert sink.taken == ["<1@example.com>", "<3@example.com>"]


def test_a_mail_is_taken_if_one_of_its_addresses_is(caplog: pytest.LogCaptureFixture) -> None:
    with Sink(refuse="user2@") as sink, smtp.connected(urlsplit(sink.url)) as server:
        assert smtp.hand_over(server, mail(1, "user2@example.com"))
    assert "refused for: user2@example.com" in caplog.text
    assert sink.taken == ["<1@example.com>"]


def test_a_server_that_is_not_there_cannot_be_used() -> None:
    with Sink() as sink:
        pass
    with pytest.raises(smtp.Unusable, match="Connection refused"), smtp.connected(urlsplit(sink.url)):
        pass


def test_a_server_that_sends_us_away_cannot_be_used() -> None:
    with (
        Sink(greeting="421 too busy") as sink,
        pytest.raises(smtp.Unusable, match="it answered 421"),
        smtp.connected(urlsplit(sink.url)),
    ):
        pass


def test_a_password_is_given_and_a_wrong_one_is_told_and_not_repeated() -> None:
    with Sink(password="s/cr@t") as sink:
        with smtp.connected(urlsplit(sink.url.replace("//", "//user:s%2Fcr%40t@"))):
            pass
        with (
            pytest.raises(smtp.PasswordRefused) as caught,
            smtp.connected(urlsplit(sink.url.replace("//", "//user:wrong@"))),
        ):
            pass
    assert "wrong" not in str(caught.value)


def test_a_server_without_passwords_cannot_be_used_by_one_who_has_one() -> None:
    with Sink() as sink:
        url = urlsplit(sink.url.replace("smtp://", "smtp://user:secret@"))
        with pytest.raises(smtp.Unusable) as caught, smtp.connected(url):
            pass
    assert isinstance(caught.value.__cause__, smtplib.SMTPNotSupportedError)
    assert "secret" not in str(caught.value)
