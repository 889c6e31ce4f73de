from email import message_from_bytes, policy

from hypothesis import given
from hypothesis import strategies as st
from tasks import email_sending

JOB = "6f3c1c7e-2a5b-4f0e-9b57-0d6f6f1f6a11"


@given(st.text(max_size=200))
def test_any_subject_makes_a_mail_of_one_line_of_subject(subject: str) -> None:
    message = email_sending.compose(JOB, 3, 5, subject.encode("utf-8", "replace").decode())
    read = message_from_bytes(message.as_bytes(policy=policy.SMTP), policy=policy.default)
    assert set(read.keys()) >= {"From", "To", "Subject", "Message-ID", "Date"}
    assert read["To"] == "user3@example.com"
    assert read["Message-ID"] == f"<{JOB}.3@warren.example.com>"
    assert "This is mail 3 of 5" in read.get_content()
