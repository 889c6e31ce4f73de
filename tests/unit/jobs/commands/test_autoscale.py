"""The questions of ops/autoscale.sh, answered from a real ledger."""

import io
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from jobs.commands import autoscale
from jobs.commands.autoscale import Adviser
from jobs.commands.autoscale_policy import Limits
from jobs.ledger import autoscaler, moves, samples, workers
from jobs.ledger.autoscaler import Autoscaler
from jobs.ledger.database import Ledger
from jobs.ledger.records import NewJob, QueueSample

Ask = Callable[..., list[str]]


@pytest.fixture
def ask(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return a function that puts questions to the program, and returns the answers."""
    monkeypatch.setattr(autoscale, "ledger", lambda: ledger)

    def put(*questions: str, most: int = 8) -> list[str]:
        arguments = ["autoscale.sh", "--max", str(most), "--queues", "heavy", "--cooldown", "60"]
        monkeypatch.setattr(sys, "argv", arguments)
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{question}\n" for question in questions)))
        assert autoscale.main() == 0
        return capsys.readouterr().out.splitlines()

    return put


def record(ledger: Ledger, backlog: int, workers: int) -> None:
    """Write the samples of the last two minutes."""
    now = time.time()
    with ledger.writing() as connection:
        for ago in range(120, -1, -2):
            sample = QueueSample(
                at=now - ago,
                name="heavy",
                ready=0,
                unacknowledged=0,
                consumers=workers,
                unfinished=backlog,
                scheduled=0,
                in_rate=0,
                out_rate=4,
            )
            samples.record(connection, [sample])


def register(ledger: Ledger, *names: str) -> None:
    with ledger.writing() as connection:
        for name in names:
            workers.register(connection, f"{name}/1", name, "heavy", 4)


def test_it_answers_each_question_with_what_to_do_and_why(ledger: Ledger, ask: Ask) -> None:
    register(ledger, "first")
    record(ledger, backlog=304, workers=1)
    answer = "add\t1\t1 -> 2 workers: 300 jobs of heavy wait, the last of them for about 1:12"
    assert ask("", "") == [answer, answer]
    assert ask("", most=1) == ["hold\t-\tjobs wait, and 1 workers are there: --max is 1"]


def test_prometheus_is_told_what_it_wants(ledger: Ledger, ask: Ask) -> None:
    def told(name: str) -> float | None:
        return REGISTRY.get_sample_value(f"warren_autoscaler_{name}")

    before = time.time()
    register(ledger, "first")
    record(ledger, backlog=304, workers=1)
    ask("starting", most=7)
    assert (told("wanted_workers"), told("min_workers"), told("max_workers")) == (2, 1, 7)
    assert (told("last_look_timestamp_seconds") or 0) >= before
    register(ledger, "starting", "w3")
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE sample SET unfinished = 0, consumers = 3")
    ask("starting w3")
    assert told("wanted_workers") == 2


def test_the_ledger_is_told_how_it_stands_and_each_new_line_once(ledger: Ledger, ask: Ask) -> None:
    register(ledger, "first")
    record(ledger, backlog=304, workers=1)
    away = "waiting: another script is at work on the stack"
    ask("\t", "\t", f"\t{away}", f"\t{away}")
    with ledger.reading() as connection:
        found, said = autoscaler.find(connection), autoscaler.lines(connection)
    assert found is not None
    assert (found.queues, found.min_workers, found.max_workers, found.cooldown) == ("heavy", 1, 8, 60)
    assert (found.workers, found.wanted, found.status) == (1, 2, "ended")
    more = "1 -> 2 workers: 300 jobs of heavy wait, the last of them for about 1:12"
    assert [line.text for line in said] == [away, more]
    most = "jobs wait, and 1 workers are there: --max is 1"
    ask("\t", f"\t{most}", f"\t{most}", most=1)
    with ledger.reading() as connection:
        assert [line.text for line in autoscaler.lines(connection)] == [most, away, more]


def test_two_additions_of_the_same_size_are_told_one_by_one(ledger: Ledger, ask: Ask) -> None:
    register(ledger, "first")
    record(ledger, backlog=304, workers=1)
    adviser = Adviser(Limits(queues=("heavy",), least=1, most=3, wait=15, cooldown=60), time.time())
    adviser.advise("")
    register(ledger, "w2")
    adviser.advise("w2")
    adviser.advise("w2")
    with ledger.reading() as connection:
        told = [line.text.partition(":")[0] for line in autoscaler.lines(connection)]
    assert told == ["2 -> 3 workers", "1 -> 2 workers"]


def test_the_ledger_keeps_the_last_lines_and_the_last_autoscaler(ledger: Ledger) -> None:
    def at(moment: float) -> Autoscaler:
        limits: dict[str, Any] = {"min_workers": 1, "max_workers": 8, "wait": 15, "cooldown": 120}
        return Autoscaler(queues="heavy", workers=1, wanted=1, started_at=moment, seen_at=moment, **limits)

    now = time.time()
    with ledger.writing() as connection:
        for number in range(autoscaler.KEPT + 5):
            autoscaler.looked(connection, at(now - 1), str(number))
        autoscaler.looked(connection, at(now))
        autoscaler.ended(connection, now - 1)
        found, said = autoscaler.find(connection), autoscaler.lines(connection)
    assert found == at(now), "the end of the one before does not count"
    assert found.status == "runs"
    assert at(now - 2 * autoscaler.SILENT).status == "silent"
    assert [line.text for line in said] == [str(number) for number in range(autoscaler.KEPT + 4, 4, -1)]


def test_it_names_those_to_retire_and_keeps_those_that_run_jobs(ledger: Ledger, ask: Ask) -> None:
    register(ledger, "first", "w2", "w3", "w4")
    record(ledger, backlog=1, workers=4)
    new = NewJob(type="heavy", queue="heavy", params={})
    with ledger.writing() as connection:
        moves.add(connection, new)
        moves.claim(connection, [new.id], "w4/1")
    verb, names, _ = ask("w2 w3 w4")[0].split("\t")
    assert (verb, names) == ("retire", "w3 w2")


def test_a_worker_that_is_leaving_is_no_longer_counted(ledger: Ledger, ask: Ask) -> None:
    register(ledger, "first", "w2")
    record(ledger, backlog=0, workers=1)
    with ledger.writing() as connection:
        workers.take_no_more(connection, "w2/1")
    assert ask("w2") == ["hold\t-\t"]


def test_without_samples_or_without_a_ledger_it_says_so_and_does_nothing(ledger: Ledger, ask: Ask) -> None:
    register(ledger, "first")
    assert ask("")[0].startswith("hold\t-\tthe beat container records no samples")
    with ledger.writing() as connection:
        connection.exec_driver_sql("DROP TABLE autoscaler")
    assert ask("")[0].startswith("hold\t-\tthe beat container records no samples"), "it need not be written"
    with ledger.writing() as connection:
        connection.exec_driver_sql("DROP TABLE sample")
    assert ask("")[0].startswith("hold\t-\tthe ledger cannot be read: ")
