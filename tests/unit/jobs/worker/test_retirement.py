"""A worker that is being retired: what it does with queues and requests, with Celery only pretended."""

import os
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from jobs.settings import settings
from jobs.worker import retirement


class Controller:
    """What the retirement sees of Celery's worker."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.queues = {"heavy": None, "export": None}
        self.semaphore = SimpleNamespace(clear=lambda: self.calls.append("clear"))
        app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=self.queues)))
        self.consumer = SimpleNamespace(app=app, task_consumer=object(), cancel_task_queue=self._cancel)

    def _cancel(self, queue: str) -> None:
        del self.queues[queue]
        self.calls.append(f"cancel {queue}")

    def request(self, name: str, *, chosen: bool) -> Any:
        return SimpleNamespace(chosen=chosen, give_back=lambda: self.calls.append(f"give back {name}"))


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(retirement, "_asked", False)
    monkeypatch.setattr(retirement, "_took_last", False)
    before = signal.getsignal(retirement.SIGNAL)
    yield
    signal.signal(retirement.SIGNAL, before)


def test_it_stops_to_take_messages_and_gives_back_those_without_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Controller()
    requests = [controller.request("fetched", chosen=False), controller.request("running", chosen=True)]
    monkeypatch.setattr(state, "reserved_requests", requests)
    retirement.take_no_more(controller)
    assert controller.calls == ["cancel heavy", "cancel export", "clear", "give back fetched"]
    assert retirement.took_last()


def test_without_a_connection_it_waits_for_one() -> None:
    controller = Controller()
    controller.consumer.task_consumer = None
    retirement.take_no_more(controller)
    assert controller.calls == []
    assert not retirement.took_last()


def test_the_signal_asks_for_it_and_after_a_time_the_worker_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()
    monkeypatch.setattr(retirement, "leave", stopped.set)
    monkeypatch.setattr(settings(), "retire_timeout", 0.01)
    retirement.install()
    assert not retirement.asked()
    os.kill(os.getpid(), signal.SIGUSR2)
    assert retirement.asked()
    assert stopped.wait(10)
