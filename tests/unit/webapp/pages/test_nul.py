"""A NUL character, which PostgreSQL does not even take in a question, is a mistake of the client."""

import re

from flask.testing import FlaskClient

QUERIES = [
    "tasks?q=%00",
    "tasks?failure=%00",
    "tasks?cursor=%00",
    "status?task_id=%00",
    "audit?who=%00&subject=%00",
    "?q=%00",
]


def test_no_path_or_query_with_a_nul_is_an_error_of_the_server(client: FlaskClient) -> None:
    paths = {
        (method, re.sub(r"<[^>]+>", "%00x", rule.rule))
        for rule in client.application.url_map.iter_rules()
        for method in rule.methods or ()
        if "<" in rule.rule and method in ("GET", "PATCH", "DELETE", "POST")
    }
    assert len(paths) > 20
    asked = [*sorted(paths), *(("GET", f"/flask/{query}") for query in QUERIES)]
    answers = {
        (method, path): client.open(path, method=method, headers={"Accept": "application/json"}).status_code
        for method, path in asked
    }
    assert {call: status for call, status in answers.items() if status >= 500} == {}
