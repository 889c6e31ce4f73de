"""The dashboard without a browser: pages, forms and errors, as they are without JavaScript."""

import gzip
import re
import time
from itertools import takewhile
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from jobs.catalogue import JOB_TYPES
from tests.support.stack import Stack, wait_until

#: What Chromium and Firefox send.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

#: Bytes that a page with all it loads may have, compressed.
LARGEST_PAGE = 100_000


def page(stack: Stack, path: str, **query: Any) -> httpx.Response:
    return stack.http.get(path, params=query or None, headers=BROWSER)


def post(stack: Stack, path: str, fields: dict[str, str] | None = None, *, site: str = "none") -> httpx.Response:
    return stack.http.post(path, data=fields or {}, headers=BROWSER | {"Sec-Fetch-Site": site})


def submitted(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    found = re.fullmatch(r"/flask/tasks/([0-9a-f-]{36})\?said=\w+", answer.headers["Location"])
    assert found, answer.headers["Location"]
    return found[1]


def rows(html: str) -> list[str]:
    return re.findall(r'<tr id="job-([^"]+)"', html)


# --- page or JSON -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/flask", "/flask/tasks", "/flask/failures", "/flask/todos", "/flask/tasks/{job}"])
def test_a_browser_gets_a_page_and_a_program_json(stack: Stack, path: str) -> None:
    path = path.format(job=stack.submit_heavy())
    shown = page(stack, path)
    assert shown.status_code == 200
    assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
    assert shown.text.count("<h1>") == 1
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9", ""):
        answer = stack.http.get(path, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == "application/json"
        assert "Accept" in re.split(r",\s*", ",".join(answer.headers.get_list("Vary")))


def test_errors_are_pages_as_well(stack: Stack) -> None:
    for path, status in (
        ("/flask/tasks/nothing", 404),
        ("/flask/nothing", 404),
        ("/flask?status=NOTHING", 422),
        ("/flask?cursor=x", 422),
        ("/flask/ui/todos", 405),
        (f"/flask/download/{stack.submit_heavy()}", 404),
    ):
        answer = page(stack, path)
        assert answer.status_code == status, path
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert 'id="problem"' in answer.text
        assert "Accept" in answer.headers["Vary"]
    assert stack.http.get("/flask/nothing").headers["Content-Type"] == "application/problem+json"


def test_words_that_cannot_be_read_stay_in_their_field_and_are_named(stack: Stack) -> None:
    answer = page(stack, "/flask?q=knd:x")
    assert answer.status_code == 422
    assert 'value="knd:x"' in answer.text
    assert "knd" in answer.text.partition('id="unreadable"')[2].partition("</p>")[0]


def test_what_people_entered_is_shown_as_text(stack: Stack) -> None:
    evil = "<script>alert(1)</script>"
    job = stack.submit("text", text=evil)
    stack.wait_state(job, "SUCCESS")
    stack.http.post("/flask/todos", json={"text": evil})
    for path in (
        "/flask",
        f"/flask/tasks/{job}",
        f"/flask/tasks/{evil}",
        "/flask/todos?said=<script>alert(1)</script>",
    ):
        text = page(stack, path).text
        assert "<script>alert" not in text.lower(), path


def test_nothing_from_elsewhere_and_nothing_inline(stack: Stack) -> None:
    job = stack.submit_heavy()
    for path in ("/", "/flask", "/flask/failures", "/flask/todos", "/flask/docs", f"/flask/tasks/{job}"):
        answer = page(stack, path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        text = answer.text.replace(f"{stack.url}/", "")  # its own address may be told
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://", text), path


def test_a_page_and_all_it_loads_weigh_little(stack: Stack) -> None:
    for _ in range(50):
        stack.submit_heavy()
    for path in ("/", "/flask", "/flask/todos"):
        html = page(stack, path).text
        found = re.findall(r'(?:rel="stylesheet" href|src)="([^"]+)"', html)
        assert found
        weight = len(gzip.compress(html.encode()))
        loaded: set[str] = set()  # modules may need each other
        while found:
            address = urljoin(path, found.pop())
            if address in loaded:
                continue
            loaded.add(address)
            answer = stack.http.get(address, headers={"Accept-Encoding": "gzip"})
            assert answer.status_code == 200, address
            if len(answer.content) > 2000:
                assert answer.headers["Content-Encoding"] == "gzip", address
            weight += len(gzip.compress(answer.content))
            found += [urljoin(address, name) for name in re.findall(r'from "(\./[^"]+)"', answer.text)]
        assert weight < LARGEST_PAGE, path


def test_assets_are_asked_for_again_only_if_they_changed(stack: Stack) -> None:
    first = stack.http.get("/flask/static/dashboard.js")
    again = stack.http.get("/flask/static/dashboard.js", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert page(stack, "/flask").headers["Cache-Control"] == "no-store"


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_pages_through_all_jobs(stack: Stack) -> None:
    expected = [stack.submit("add", a=1, b=number) for number in range(5)][::-1]
    answer = page(stack, "/flask", limit=2, task_type="add")
    seen = rows(answer.text)
    while len(seen) < 5:
        older = re.search(r'<a href="([^"]+)" rel="next">Older</a>', answer.text)
        assert older
        answer = page(stack, older[1].replace("&amp;", "&"))
        assert ">Newest</a>" in answer.text
        assert "data-newest" not in answer.text
        seen += rows(answer.text)
    assert seen[:5] == expected


def test_filters_of_an_unfilled_form_mean_nothing(stack: Stack) -> None:
    job = stack.submit_heavy()
    assert rows(page(stack, "/flask?status=&task_type=&q=&anything=else").text)[0] == job


def test_jobs_are_found_by_state_and_kind(stack: Stack) -> None:
    failed = stack.submit("divide", a=1, b=0)
    stack.wait_state(failed, "FAILURE")
    assert failed in rows(page(stack, "/flask", status="FAILURE", task_type="divide").text)
    assert failed not in rows(page(stack, "/flask", status="SUCCESS").text)
    assert failed not in rows(page(stack, "/flask", task_type="heavy").text)


def test_a_job_is_found_by_the_beginning_of_its_id(stack: Stack) -> None:
    job = stack.submit_heavy()
    stack.wait_state(job, "SUCCESS")
    for beginning in (job[:8], job.upper()[:12], f" {job[:6]}", job):
        assert rows(page(stack, "/flask", q=beginning).text) == [job]
    assert rows(page(stack, "/flask", q=job[:8], status="FAILURE").text) == []
    assert rows(page(stack, "/flask", q=job[:8], task_type="heavy", status="SUCCESS").text) == [job]
    assert rows(page(stack, "/flask", q="%___").text) == []


# --- submitting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, job_type in JOB_TYPES.items() if not job_type.control])
def test_each_form_can_be_sent_as_it_comes(stack: Stack, name: str) -> None:
    html = page(stack, "/flask", form=name).text
    form = re.search(rf'<form id="submit-{name}".*?</form>', html, re.DOTALL)
    assert form
    fields = dict(re.findall(r'<input [^>]*?name="([^"]+)"[^>]*?value="([^"]*)"', form[0]))
    fields |= dict(re.findall(r'<textarea [^>]*?name="([^"]+)"[^>]*>\n([^<]*)<', form[0]))
    for identity in re.findall(r'<(?:input|select|textarea) id="([^"]+)"', form[0]):
        assert f'<label for="{identity}">' in form[0]
    job = submitted(post(stack, f"/flask/ui/submit/{name}", fields))
    assert stack.http.get(f"/flask/tasks/{job}").json()["task_type"] == name
    stack.http.delete(f"/flask/tasks/{job}")


def test_after_submitting_the_page_of_the_job_says_so(stack: Stack) -> None:
    answer = post(stack, "/flask/ui/submit/divide", {"a": "12", "b": "4"})
    job = submitted(answer)
    shown = page(stack, answer.headers["Location"]).text
    assert "Accepted" in shown
    stack.wait_state(job, "SUCCESS")
    shown = page(stack, f"/flask/tasks/{job}").text
    assert re.search(r'<article id="job"[^>]* data-state="SUCCESS"', shown)
    assert '<pre id="result"' in shown
    assert "Accepted: " not in shown


def test_a_form_with_errors_comes_back_as_it_was_filled_in(stack: Stack) -> None:
    answer = post(stack, "/flask/ui/submit/heavy", {"seconds": "61"})
    assert answer.status_code == 422
    assert re.search(
        r'<input id="heavy-seconds"[^>]* aria-describedby="heavy-seconds-hint heavy-seconds-error"', answer.text
    )
    assert re.search(r'<input id="heavy-seconds"[^>]* aria-invalid="true"[^>]* value="61"', answer.text)
    assert "less than or equal to 60" in re.findall(r'id="heavy-seconds-error">([^<]+)<', answer.text)[0]


def test_a_job_for_later_is_not_started_before(stack: Stack) -> None:
    later = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 3600))
    job = submitted(post(stack, "/flask/ui/submit/add", {"a": "1", "b": "2", "run_at": later}))
    told = stack.http.get(f"/flask/tasks/{job}").json()
    assert told["state"] == "PENDING"
    assert told["run_at"].startswith(later)
    stack.http.delete(f"/flask/tasks/{job}")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_forms_of_other_sites_are_refused(stack: Stack, site: str) -> None:
    for path in ("/flask/ui/submit/heavy", "/flask/ui/todos", "/flask/ui/tasks/x/cancel"):
        assert post(stack, path, {"text": "x"}, site=site).status_code == 403
    submitted(post(stack, "/flask/ui/submit/heavy", {"seconds": "0"}, site="same-origin"))


def test_there_is_no_form_for_an_unknown_kind(stack: Stack) -> None:
    assert post(stack, "/flask/ui/submit/nothing").status_code == 404
    assert 'id="submit-heavy"' in page(stack, "/flask", form="nothing").text


# --- cancel, retry, download ------------------------------------------------------------------------------------------


def test_cancel_and_retry_from_the_page(stack: Stack) -> None:
    job = stack.submit_heavy(30)
    assert f'action="/flask/ui/tasks/{job}/cancel"' in page(stack, f"/flask/tasks/{job}").text
    assert submitted(post(stack, f"/flask/ui/tasks/{job}/cancel")) == job
    assert stack.status(job)["status"] == "REVOKED"
    assert post(stack, f"/flask/ui/tasks/{job}/cancel").status_code == 409
    assert f'action="/flask/ui/tasks/{job}/retry"' in page(stack, f"/flask/tasks/{job}").text
    again = submitted(post(stack, f"/flask/ui/tasks/{job}/retry"))
    assert again != job
    assert post(stack, f"/flask/ui/tasks/{again}/retry").status_code == 409
    submitted(post(stack, f"/flask/ui/tasks/{again}/cancel"))
    for action in ("cancel", "retry"):
        assert post(stack, f"/flask/ui/tasks/nothing/{action}").status_code == 404


def test_the_page_of_an_export_has_its_file(stack: Stack) -> None:
    job = submitted(post(stack, "/flask/ui/submit/export", {"filters.done": "true"}))
    stack.wait_state(job, "SUCCESS")
    assert stack.http.get(f"/flask/tasks/{job}").json()["input_params"] == {"filters": {"done": True}}
    assert f'href="/flask/download/{job}"' in page(stack, f"/flask/tasks/{job}").text
    assert page(stack, f"/flask/download/{job}").headers["Content-Type"].startswith("text/csv")


# --- to-dos -----------------------------------------------------------------------------------------------------------


def test_to_dos_are_added_changed_ticked_and_deleted(stack: Stack) -> None:
    answer = post(stack, "/flask/ui/todos", {"text": "water <the> plants"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/flask/todos?said=added")
    newest = stack.ledger("SELECT max(id) FROM todo")[0][0]
    shown = page(stack, "/flask/todos", limit=500).text
    if f'id="todo-{newest}"' in shown:  # other tests may have filled the first page
        assert "water &lt;the&gt; plants" in shown
    here = f"/flask/ui/todos/{newest}"

    assert post(stack, here, {"text": "water them", "done": "on"}).status_code == 303
    todo = stack.http.get(f"/flask/todos/{newest}").json()
    assert (todo["text"], todo["done"]) == ("water them", True)
    assert post(stack, here, {"text": "water them"}).status_code == 303
    assert stack.http.get(f"/flask/todos/{newest}").json()["done"] is False

    for path, field in (("/flask/ui/todos", "new-error"), (here, f"todo-{newest}-error")):
        for text in ("", "x" * 501):
            answer = post(stack, path, {"text": text})
            assert answer.status_code == 422
            assert f'id="{field}"' in answer.text or path == here

    assert post(stack, f"{here}/delete").status_code == 303
    assert post(stack, f"{here}/delete").status_code == 404
    assert post(stack, here, {"text": "x"}).status_code == 404
    assert post(stack, f"/flask/ui/todos/{2**70}", {"text": "x"}).status_code == 404


def test_after_a_change_the_same_page_of_to_dos_is_shown(stack: Stack) -> None:
    for number in range(51):
        stack.http.post("/flask/todos", json={"text": f"to-do {number}"})
    first = page(stack, "/flask/todos").text
    more = re.search(r'<a href="(/flask/todos\?cursor=[^"]+)" rel="next">', first)
    assert more
    second = page(stack, more[1]).text
    action = re.search(r'action="(/flask/ui/todos/\d+\?cursor=[^"]+)"', second)
    assert action
    answer = post(stack, action[1], {"text": "changed"})
    assert answer.headers["Location"].startswith("/flask/todos?said=saved&cursor=")
    assert "changed" in page(stack, answer.headers["Location"]).text


# --- queues and workers -----------------------------------------------------------------------------------------------


def test_the_panel_shows_queues_workers_and_what_they_do(stack: Stack) -> None:
    job = stack.submit_heavy(3)
    wait_until(lambda: stack.status(job)["status"], 10, "the job runs", lambda state: state == "STARTED")
    panel = page(stack, "/flask/queues").text.partition('id="panel"')[2]
    for queue in ("heavy", "export", "arithmetic"):
        assert f'</span><a href="/flask/queues/{queue}">{queue}</a>' in panel
    assert stack.celery in panel
    assert f'class="doing" href="/flask/tasks/{job}"' in panel
    assert "./launch_celery_worker.sh 2" in panel


def samples_without_rabbitmq(stack: Stack, blamed: set[str]) -> int:
    """Return how many of the newest samples have no figures of RabbitMQ, and note who the page says does not answer."""
    blamed.update(re.findall(r"(RabbitMQ|The beat container) does not answer", page(stack, "/flask").text))
    history = stack.http.get("/flask/queues/history").json()["data"]
    return sum(1 for _ in takewhile(lambda sample: sample["queues"]["heavy"]["ready"] is None, reversed(history)))


def test_jobs_of_later_are_no_backlog(stack: Stack) -> None:
    later = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 30 * 86_400))
    body = {"a": "1", "b": "2", "run_at": later}
    jobs = [submitted(post(stack, "/flask/ui/submit/add", body)) for _ in range(9)]
    try:
        panel = wait_until(
            lambda: page(stack, "/flask/queues").text.partition('id="panel"')[2],
            20,
            "the panel has counted them",
            lambda panel: "+9 scheduled" in panel,
        )
        assert "more jobs than the workers" not in panel
        queues = {queue["name"]: queue for queue in stack.http.get("/flask/queues").json()["data"]}
        assert (queues["arithmetic"]["unfinished"], queues["arithmetic"]["scheduled"]) == (9, 9)
    finally:
        for job in jobs:
            stack.http.delete(f"/flask/tasks/{job}")


def test_without_rabbitmq_the_page_says_so_and_takes_jobs(stack: Stack) -> None:
    stack.docker("stop", stack.rabbitmq)
    try:
        wait_until(
            lambda: page(stack, "/flask").text, 30, "the page says so", lambda text: "RabbitMQ does not answer" in text
        )
        job = submitted(post(stack, "/flask/ui/submit/add", {"a": "1", "b": "2"}))
        assert rows(page(stack, "/flask").text)[0] == job
        # Samples go on to come, so that nobody takes beat for the one to blame.
        blamed: set[str] = set()
        wait_until(lambda: samples_without_rabbitmq(stack, blamed) >= 10, 60, "ten samples were taken without RabbitMQ")
        assert blamed == {"RabbitMQ"}
    finally:
        stack.docker("start", stack.rabbitmq)
        stack.wait_healthy(stack.rabbitmq)
    stack.wait_state(job, "SUCCESS", timeout=60)
