"""The table of all metrics, compared with those that the code has."""

import re

import webapp.metrics  # noqa: F401  # for the metrics that it makes
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import jobs.commands.autoscale  # likewise
import jobs.worker.metrics  # noqa: F401  # likewise
from jobs.ledger.collector import LedgerCollector
from jobs.ledger.database import Ledger
from jobs.ledger.records import QueueSample
from jobs.ledger.samples import record
from tests.support.databases import on_sqlite
from tests.support.project import ROOT

#: A row such as: | `warren_retries_total` | counter: `task_type` | runs that asked to be tried again |
ROW = re.compile(r"^\| `(warren_\w+)` \| (counter|gauge|histogram)(?:: (.+?))? \|", re.MULTILINE)


@on_sqlite
def test_the_table_has_each_metric_with_its_labels(ledger: Ledger) -> None:
    sample = QueueSample(
        at=1.0, name="heavy", ready=0, unacknowledged=0, consumers=1, unfinished=0, scheduled=0, in_rate=0, out_rate=0
    )
    with ledger.writing() as connection:
        record(connection, [sample])
    found: dict[str, tuple[str, set[str]]] = {}
    metrics = [metric for metric in REGISTRY._names_to_collectors.values() if isinstance(metric, MetricWrapperBase)]
    for metric in metrics:
        for family in metric.describe():
            if family.name.startswith("warren_"):
                name = family.name + ("_total" if family.type == "counter" else "")
                found[name] = (family.type, set(metric._labelnames))
    for family in LedgerCollector(ledger).collect():
        found[family.name] = (family.type, {label for sample in family.samples for label in sample.labels})
    page = (ROOT / "docs/operations.md").read_text()
    told = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(page)}
    assert told == found
