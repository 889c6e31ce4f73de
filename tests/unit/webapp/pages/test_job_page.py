"""The page of a job, with a real ledger: what can be copied from it, and how it is run again with changes."""

import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from webapp.pages import forms

from jobs.catalogue import JOB_TYPES
from jobs.ledger import moves, queries
from jobs.ledger.database import Ledger
from jobs.ledger.records import Job, NewJob, Priority

BROWSER = {"Accept": "text/html"}
LONG = "word " * 2000

#: Of each kind of job, parameters as a client may send them, with what is hard to write into a form.
PARAMS: dict[str, dict[str, Any]] = {
    "heavy": {"seconds": 0.25},
    "add": {"a": -1e15, "b": 0.1},
    "divide": {"a": 12, "b": 4},
    "text": {"text": f"\n<b>it's</b>\n{LONG}"[:10_000], "repeat": 2},
    "export": {"filters": {"done": False, "text": "two\nlines", "created_from": "2026-01-01T00:00:17.250000Z"}},
    "csv_processing": {"num_rows": 100, "processing_time": 5.5},
    "email_sending": {"num_emails": 1, "subject": '"quoted" & more', "delay": 0.5},
    "image_processing": {"num_images": 1, "width": 100, "height": 200},
    "cancel_jobs": {"status": ["PENDING", "RETRY"], "created_to": "2026-01-01T00:00:00Z"},
    "retry_jobs": {"task_type": "divide", "failure": "0123456789abcdef"},
    "delete_failures": {"failure": "0123456789abcdef"},
}


def add(ledger: Ledger, kind: str, params: dict[str, Any], **more: Any) -> Job:
    new = NewJob(type=kind, queue="heavy", params=params, **more)
    with ledger.writing() as connection:
        moves.add(connection, new)
        found = queries.find(connection, new.id)
    assert found is not None
    return found


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 200
    return answer.text


def block(html: str, id_: str) -> str:
    """Return the text of an element that can be copied."""
    found = re.search(rf'<pre id="{id_}"[^>]*><code>(.*?)</code></pre>', html, re.DOTALL)
    assert found is not None
    return unescape(found[1])


@pytest.mark.parametrize("kind", JOB_TYPES)
def test_any_kind_is_edited_and_run_again(client: FlaskClient, ledger: Ledger, kind: str) -> None:
    params = JOB_TYPES[kind].params.model_validate(PARAMS[kind]).model_dump(mode="json", exclude_none=True)
    job = add(ledger, kind, params, priority=Priority.HIGH)
    assert f'href="/flask?again={job.id}"' in page(client, f"/flask/tasks/{job.id}")
    html = page(client, f"/flask?again={job.id}")
    assert f'id="submit-{kind}"' in html
    assert '<details id="submit" class="changes" data-part open>' in html
    # What a browser would send of it, unchanged.
    sent = forms.parse(forms.SUBMIT, kind, forms.filled(forms.SUBMIT, job).values)
    assert sent.errors == {}
    assert sent.body.input_params.model_dump(mode="json", exclude_none=True) == params
    assert (sent.body.priority, sent.body.run_at) == ("high", None)


def test_a_time_is_shown_as_a_browser_takes_it_and_is_told_to_be_utc(client: FlaskClient, ledger: Ledger) -> None:
    moments = {"created_from": "2026-01-01T02:00:00+02:00", "created_to": "2026-01-01T00:00:17.25Z"}
    job = add(ledger, "export", {"filters": moments})
    html = page(client, f"/flask?again={job.id}")
    assert 'value="2026-01-01T00:00" data-utc="2026-01-01T00:00" step="any"' in html
    assert 'value="2026-01-01T00:00:17.250" data-utc="2026-01-01T00:00:17.250" step="any"' in html


@pytest.mark.parametrize(
    "params", [{}, {"filters": 5}, {"filters": {"created_to": 5, "created_from": "soon", "done": "perhaps"}}]
)
def test_parameters_that_are_wrong_are_there_to_be_mended(
    client: FlaskClient, ledger: Ledger, params: dict[str, Any]
) -> None:
    assert 'id="submit-export"' in page(client, f"/flask?again={add(ledger, 'export', params).id}")


def test_what_cannot_be_run_again_is_not_offered(client: FlaskClient, ledger: Ledger) -> None:
    gone = add(ledger, "a_kind_of_last_year", {})
    html = page(client, f"/flask/tasks/{gone.id}")
    assert "again=" not in html
    assert 'id="again"' not in html
    assert 'id="submit-heavy"' in page(client, f"/flask?again={gone.id}")
    assert client.get("/flask?again=unknown", headers=BROWSER).status_code == 404


def test_a_long_text_is_folded_and_a_short_one_is_not(client: FlaskClient, ledger: Ledger) -> None:
    short = page(client, f"/flask/tasks/{add(ledger, 'text', {'text': 'short'}).id}")
    assert 'id="params-folded"' not in short
    html = page(client, f"/flask/tasks/{add(ledger, 'text', {'text': LONG}).id}")
    assert re.search(r'<details id="params-folded">\s*<summary>10,\d\d\d characters in 3 lines</summary>', html)
    assert LONG in block(html, "params")
    assert 'data-copies="params"' in html


def test_its_reports_are_told_by_page_and_api(client: FlaskClient, ledger: Ledger) -> None:
    job = add(ledger, "heavy", {})
    with ledger.writing() as connection:
        moves.claim(connection, [job.id], "w")
        moves.report_progress(connection, job.id, 1, {"percent": 40, "message": "4 of <10>"})
    (report,) = client.get(f"/flask/tasks/{job.id}").get_json()["reports"]
    assert (report["run"], report["percent"], report["message"]) == (1, 40, "4 of <10>")
    assert "<span>Run 1: 40 %, 4 of &lt;10&gt;</span>" in page(client, f"/flask/tasks/{job.id}")


def test_the_command_of_a_job_has_its_parameters_as_they_are(client: FlaskClient, ledger: Ledger) -> None:
    job = add(ledger, "text", {"text": "it's <b>", "repeat": 2}, priority=Priority.HIGH)
    html = page(client, f"/flask/tasks/{job.id}")
    assert block(html, "look") == f"curl http://localhost/flask/tasks/{job.id}"
    body = """'{"task_type": "text", "input_params": {"text": "it'"'"'s <b>", "repeat": 2}, "priority": "high"}'"""
    assert block(html, "again") == (
        f"curl --request POST --header 'Content-Type: application/json' --data {body} http://localhost/flask/tasks"
    )
