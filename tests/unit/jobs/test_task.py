import time
from typing import Any

import pytest
from tasks import divide

from jobs import task


def test_progress_reaches_the_ledger_at_most_every_fifth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(divide.divide, "update_state", lambda *, state, meta: told.append(meta))
    divide.divide.push_request()
    try:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            divide.divide.report(1.4, "on it", more=1)
    finally:
        divide.divide.pop_request()
    assert told == [{"percent": 1, "message": "on it", "more": 1}] * (1 + int(0.3 / task.REPORT_INTERVAL))
