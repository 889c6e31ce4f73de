import socket

import pytest

from jobs.broker import depths
from jobs.broker.depths import BrokerUnavailable
from jobs.settings import settings


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (socket.gaierror(-2, "Name or service not known"), "no container of its name is running"),
        (TimeoutError("timed out"), "no answer within 2 seconds"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (EOFError(), "EOFError"),
    ],
)
def test_why_it_does_not_answer_is_told_in_plain_words(error: Exception, says: str) -> None:
    assert depths._reason(error) == says


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "broker_host", "no-such-container.invalid")
    with pytest.raises(BrokerUnavailable, match=r"^RabbitMQ does not answer: no container of its name is running$"):
        depths.queue_depths()
