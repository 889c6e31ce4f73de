"""The checker: finds out what became of every job that was answered 202.

It knows only what clients know: the answers they got, the HTTP API, the files they can download, and the mails that a
mail server received. So it can judge any stack with this API. For Warren it also compares with the ledger.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.load import Job, Load
from tests.support.stack import END_STATES

#: How many requests the checker makes at the same time.
READERS = 8
#: Seconds between two rounds of questions about the jobs that have not ended.
PAUSE = 0.5


@dataclass
class Verdict:
    """What became of the accepted jobs."""

    ended: int = 0
    #: Ids of jobs that are unknown, or have not begun, at the end of the wait.
    lost: list[str] = field(default_factory=list)
    #: Ids of jobs that have begun and have not ended at the end of the wait.
    in_the_middle: list[str] = field(default_factory=list)
    #: By id, what is wrong with the end of a job.
    wrong: dict[str, str] = field(default_factory=dict)
    #: Mails that the server received; those that it had received before; those that may or may not have been sent.
    mails: int = 0
    mails_twice: int = 0
    mails_uncertain: int = 0
    #: Jobs that began more than once. Only a ledger knows this; `None` without one.
    run_again: int | None = None


def judge(
    load: Load,
    http: httpx.Client,
    message_ids: Callable[[], Iterable[str]],
    *,
    patience: float,
    may_fail: frozenset[str],
) -> Verdict:
    """Wait until every accepted job has ended, or none has ended for `patience` seconds; then check each job.

    Jobs of the kinds in `may_fail` may end as FAILURE, because the fault takes away something they need.
    """
    verdict = Verdict()
    statuses = _final(load.accepted, http, patience)
    received = Counter(message_ids())
    for task_id, job in load.accepted.items():
        status = statuses[task_id]
        state, result = status["status"], status["result"]
        if state in END_STATES:
            verdict.ended += 1
            if problem := _problem(http, task_id, job, state, result, received, may_fail):
                verdict.wrong[task_id] = f"{job.kind}: {problem}"
        elif state in ("PENDING", "UNKNOWN"):
            verdict.lost.append(task_id)
        else:
            verdict.in_the_middle.append(task_id)
        if job.kind == "email_sending" and state == "SUCCESS":
            verdict.mails_uncertain += result.get("uncertain", 0)
    verdict.mails = len(received)
    verdict.mails_twice = sum(times - 1 for times in received.values())
    return verdict


def hear_the_ledger(verdict: Verdict, load: Load, rows: Mapping[str, tuple[str, int]]) -> None:
    """Add what the ledger says: `rows` has state and attempts of each job since the load began, by its id.

    An accepted job without a row is lost. Every job with a row has to end, even if its client got no answer.
    """
    verdict.lost += [task_id for task_id in load.accepted if task_id not in rows and task_id not in verdict.lost]
    verdict.in_the_middle += [
        task_id
        for task_id, (state, _) in rows.items()
        if state not in END_STATES and task_id not in {*verdict.lost, *verdict.in_the_middle}
    ]
    verdict.run_again = sum(attempts > 1 for _, attempts in rows.values())


def _final(accepted: dict[str, Job], http: httpx.Client, patience: float) -> dict[str, dict[str, Any]]:
    """Return the last known status of each job, by its id."""
    known: dict[str, dict[str, Any]] = {}
    waiting = list(accepted)
    last_end = time.monotonic()
    with ThreadPoolExecutor(READERS) as pool:
        while waiting and time.monotonic() - last_end < patience:
            known.update(zip(waiting, pool.map(lambda task_id: _status(http, task_id), waiting), strict=True))
            left = [task_id for task_id in waiting if known[task_id]["status"] not in END_STATES]
            if len(left) < len(waiting):
                last_end = time.monotonic()
            waiting = left
            if waiting:
                time.sleep(PAUSE)
    return known


def _status(http: httpx.Client, task_id: str) -> dict[str, Any]:
    try:
        answer = http.get("/flask/status", params={"task_id": task_id})
    except httpx.TransportError as error:
        return {"status": "NO ANSWER", "result": str(error)}
    if answer.status_code == 404:
        return {"status": "UNKNOWN", "result": None}
    return dict(answer.json()) if answer.status_code == 200 else {"status": "NO ANSWER", "result": answer.text}


def _problem(
    http: httpx.Client,
    task_id: str,
    job: Job,
    state: str,
    result: Any,
    received: Counter[str],
    may_fail: frozenset[str],
) -> str:
    """Return what is wrong with the end of a job, or an empty string."""
    if state != "SUCCESS":
        return "" if state == "FAILURE" and job.kind in may_fail else f"{state}, {result}"
    if not job.fits(result):
        return f"the result is {result}"
    if job.kind == "export":
        file = http.get(f"/flask/download/{task_id}")
        if file.status_code != 200 or not file.text.startswith("id,text,done,created_at"):
            return f"its file cannot be downloaded: {file.status_code} {file.text[:100]}"
    if job.kind == "email_sending":
        arrived = sum(1 for message_id in received if message_id.startswith(f"<{task_id}."))
        if not result["sent"] <= arrived <= result["sent"] + result.get("uncertain", 0):
            return f"it says {result}, and {arrived} mails arrived"
    return ""
