"""A page of another site, in a real browser, tries to submit jobs in the visitor's name."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import Template

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.stack.test_other_sites import jobs
from tests.support.stack import Stack, wait_until

#: A form that needs no script, one whose body is JSON if nobody looks at its type, a link, and a picture.
TRAPS = Template("""<!doctype html>
<title>Kittens</title>
<form id="form" method="post" action="$url/flask/ui/submit/heavy"><input name="seconds" value="0"></form>
<form id="plain" method="post" enctype="text/plain" action="$url/flask/email_sending">
  <input name='{"to": ["a@example.com"], "subject": "' value='"}'>
</form>
<a id="link" href="$url/flask/heavy?seconds=0">Kittens</a>
<img src="$url/flask/heavy?seconds=0&picture=$port" alt="A kitten">
""")

FETCH = """([url, options]) => fetch(url, options).then((answer) => answer.status, () => "failed")"""


@pytest.fixture
def other_site(stack: Stack) -> Iterator[int]:
    """Serve the page with the traps, and return the port, another one each time."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = TRAPS.substitute(url=stack.url, port=self.headers["Host"].rpartition(":")[2]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Return an empty page that nobody watches: what goes wrong there is what is to go wrong."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def answered(stack: Stack) -> list[tuple[str, str, int]]:
    """Return what Nginx has answered so far: method, address and status."""
    lines = [json.loads(line) for line in stack.logs(stack.nginx).splitlines() if '"event":"request"' in line]
    return [(line["method"], line["path"], line["status"]) for line in lines]


# `localhost` on another port is the same site as the stack, though not the same origin; 127.0.0.1 is another site.
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_nothing_that_a_page_of_another_site_tries_submits_a_job(
    stack: Stack, page: Page, other_site: int, host: str
) -> None:
    before = jobs(stack)

    def visit() -> None:
        page.goto(f"http://{host}:{other_site}/", wait_until="load")

    def refused(*request: str) -> None:
        """Wait until it is seen that this came, and was refused. The page itself is not even told that."""
        wait_until(lambda: (*request, 403) in answered(stack), 30, f"{request} was refused")

    visit()
    refused("GET", f"/flask/heavy?seconds=0&picture={other_site}")
    plain = {"method": "POST", "mode": "no-cors", "headers": {"Content-Type": "text/plain"}, "body": "{}"}
    assert page.evaluate(FETCH, [f"{stack.url}/flask/email_sending?{other_site}", plain]) == "failed"
    refused("POST", f"/flask/email_sending?{other_site}")
    # JSON is asked for first, by OPTIONS, and that is not allowed.
    typed = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": "{}"}
    assert page.evaluate(FETCH, [f"{stack.url}/flask/add", typed]) == "failed"
    # What may be asked for can still not be read.
    assert page.evaluate(FETCH, [f"{stack.url}/flask/tasks", {}]) == "failed"

    for trap in ("form", "plain"):
        visit()
        page.locator(f"#{trap}").evaluate("form => form.submit()")
        expect(page.locator("#problem")).to_contain_text("another site")
    visit()
    page.locator("#link").click()
    expect(page.locator("#problem")).to_contain_text("another site")

    assert jobs(stack) == before


def test_the_same_from_here_submits_jobs(stack: Stack, page: Page) -> None:
    """Otherwise the test above could not fail."""
    before = jobs(stack)
    page.goto(f"{stack.url}/flask/heavy?seconds=0")  # as from the address bar
    page.goto(f"{stack.url}/flask")
    plain = {"method": "POST", "headers": {"Content-Type": "text/plain"}, "body": "{}"}
    assert page.evaluate(FETCH, [f"{stack.url}/flask/email_sending", plain]) == 202
    assert jobs(stack) == before + 2
