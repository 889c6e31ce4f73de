"""The alerts of Prometheus: each leads to its paragraph, and each is tested. What they mean promtool tests."""

import re

import pytest

from jobs import disks
from tests.support.project import ROOT

#: The text of each alert, by its name.
ALERTS = dict(
    re.findall(
        r"^      - alert: (\w+)\n((?:(?:        .*)?\n)+)", (ROOT / "prometheus/alerts.yml").read_text(), re.MULTILINE
    )
)

RUNBOOK = (ROOT / "docs/operations.md").read_text()


def test_alerts_are_found() -> None:
    assert "warren_workers == 0" in ALERTS["NoWorker"]
    assert len(ALERTS) == (ROOT / "prometheus/alerts.yml").read_text().count("alert:")


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_means_and_where_more_is_said(alert: str) -> None:
    text = ALERTS[alert]
    assert re.search(r"^        labels: \{severity: (critical|warning)\}$", text, re.MULTILINE)
    assert "          summary: " in text
    assert "          description: >-" in text
    assert f"          runbook_url: docs/operations.md#{alert.lower()}\n" in text
    assert re.search(rf"^#+ {alert}$", RUNBOOK, re.MULTILINE)


def test_each_alert_is_tested() -> None:
    tests = (ROOT / "tests/stack/alerts.yml").read_text()
    raised = re.findall(r"exp_samples: \[\{labels: 'ALERTS\{alertname=\"(\w+)\"", tests)
    assert sorted(raised) == sorted(ALERTS)


def test_a_disk_is_nearly_full_where_notices_and_pages_say_so() -> None:
    numbers = re.findall(r"< (\S+)", ALERTS["DiskNearlyFull"])
    assert [float(number) for number in numbers] == [disks.BYTES, disks.SHARE]
