"""Notices of a running stack, to a web server and a mail server beside it; and what build.sh says of addresses."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.project import ROOT
from tests.support.stack import Stack, run, wait_until

Post = dict[str, Any]


class Receivers:
    """A web server and a mail server in containers of their own, which a stack can reach only by its front network."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.web = f"{stack.prefix}_http_sink"
        self.mail = f"{stack.prefix}_notice_mail_sink"

    def start(self) -> None:
        self.remove()
        for name, program, port in ((self.web, "http_sink.py", 8080), (self.mail, "smtp_sink.py", 2525)):
            sink = f"--volume={ROOT}/tests/support/{program}:/{program}:ro"
            self._stack.docker(
                # Without the image's label: it is no container of the stack.
                *("run", "--detach", "--name", name, "--label=warren.stack="),
                *("--network", f"{self._stack.prefix}_front_network", "--no-healthcheck", sink),
                *(f"{self._stack.prefix}_celery", "python", f"/{program}"),
            )
            listens = ("exec", name, "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo yes")
            wait_until(partial(self._stack.docker, *listens), 10, f"{name} listens")

    def remove(self) -> None:
        self._stack.docker("rm", "--force", self.web, self.mail, check=False)

    def answer(self, **options: str) -> None:
        """Have the web server answer differently from now on."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        code = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/?{query}')"
        self._stack.docker("exec", self.web, "python", "-c", code)

    def posts(self, reason: str) -> list[Post]:
        """Return the requests about one reason that the web server was given."""
        found = [json.loads(line) for line in self._stack.docker("logs", self.web).splitlines()]
        return [post for post in found if json.loads(post["body"])["reason"] == reason]

    def wait_posts(self, reason: str, count: int, timeout: float) -> list[Post]:
        return wait_until(
            lambda: self.posts(reason), timeout, f"{count} notices of {reason}", lambda posts: len(posts) >= count
        )

    def mails(self) -> list[str]:
        return self._stack.docker("logs", self.mail).split()


@pytest.fixture(scope="module")
def receivers(stack: Stack) -> Iterator[Receivers]:
    """Switch notices on."""
    made = Receivers(stack)
    made.start()
    try:
        stack.run(
            "./build.sh",
            NOTIFY_URL=f"http://{made.web}:8080/hook?token=very_secret",
            NOTIFY_MAIL="oncall@example.com,ops@example.com",
            SMTP_URL=f"smtp://{made.mail}:2525",
        )
        yield made
    finally:
        made.remove()
        stack.run("./build.sh")


def test_failed_jobs_make_one_notice_signed_and_one_mail(stack: Stack, receivers: Receivers) -> None:
    task_ids = [stack.submit("divide", a=1, b=0) for _ in range(5)]
    for task_id in task_ids:
        stack.wait_state(task_id, "FAILURE")
    (post,) = receivers.wait_posts("failed:divide", 1, 30)
    notice = json.loads(post["body"])
    assert notice["count"] == 5
    assert notice["stack"] == stack.prefix
    assert notice["job"]["task_id"] in task_ids
    assert notice["job"]["error"] == "Division by zero: b must not be 0."
    assert post["path"] == "/hook?token=very_secret"
    assert post["headers"]["webhook-signature"] == signature(post, secret(stack))
    wait_until(receivers.mails, 30, "the mail is there", lambda mails: len(mails) == 1)
    log = stack.logs(stack.beat)
    assert "very_secret" not in log + stack.docker("inspect", *stack.containers())


def secret(stack: Stack) -> str:
    return (stack.secrets / "notify_secret").read_text().strip()


def signature(post: Post, secret: str) -> str:
    """Return the signature that a notice has to have."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    moment = post["headers"]["webhook-timestamp"]
    signed = f"{json.loads(post['body'])['id']}.{moment}.{post['body']}".encode()
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def fail_to_add(stack: Stack) -> None:
    """Have a job of another kind fail, sent from a shell because the API refuses such parameters."""
    stack.docker("exec", stack.celery, "python", "-c", "from tasks.add import add; add.delay(a='one', b=1)")


def test_a_beat_that_is_killed_loses_no_notice_and_repeats_it_with_the_same_id(
    stack: Stack, receivers: Receivers
) -> None:
    # The receiver has the notice and has not said so: the moment in which beat cannot know.
    receivers.answer(slow="4")
    fail_to_add(stack)
    (first,) = receivers.wait_posts("failed:add", 1, 30)
    stack.kill(stack.beat)
    receivers.answer(slow="0")
    fail_to_add(stack)  # while nobody is there to send
    _, again, *_ = receivers.wait_posts("failed:add", 2, 90)
    assert again["body"] == first["body"]
    assert again["headers"]["webhook-id"] == first["headers"]["webhook-id"]
    assert json.loads(first["body"])["count"] == 1
    gathered = "SELECT times FROM notice WHERE channel = 'webhook' AND reason = 'failed:add' AND delivery_id IS NULL"
    wait_until(lambda: stack.ledger(gathered), 30, "the next notice gathers", lambda rows: rows == [(1,)])


def test_notices_can_be_signed_with_a_new_secret(stack: Stack, receivers: Receivers) -> None:
    before = secret(stack)
    done = stack.run("ops/rotate_secrets.sh", "notify_secret")
    assert str(stack.secrets / "notify_secret") in done.stdout
    assert "very_secret" not in done.stdout
    assert secret(stack) != before
    stack.docker("exec", stack.celery, "python", "-c", "from tasks.text import text; text.delay(text=[])")
    (post, *_) = receivers.wait_posts("failed:text", 1, 60)
    assert post["headers"]["webhook-signature"] == signature(post, secret(stack))


def test_health_that_changes_is_told(stack: Stack, receivers: Receivers) -> None:
    stack.docker("stop", stack.celery)
    (post,) = receivers.wait_posts("health:workers", 1, 60)
    notice = json.loads(post["body"])
    assert notice["health"] == {"part": "workers", "well": False}
    assert notice["text"] == "No worker is alive. Jobs are accepted, and wait."
    stack.docker("start", stack.celery)
    stack.wait_healthy(stack.celery)
    noted = "SELECT channel, sentence FROM notice WHERE reason = 'health:workers' AND well"
    told = "Workers take jobs from every queue again."
    wait_until(
        lambda: stack.ledger(noted), 60, "it is noted", lambda rows: set(rows) == {("webhook", told), ("mail", told)}
    )


def test_only_those_who_need_them_have_the_addresses(stack: Stack, receivers: Receivers) -> None:
    found = {
        container: set(stack.docker("exec", container, "ls", "/run/secrets", check=False).split())
        for container in stack.containers()
    }
    assert {"notify_url", "notify_secret", "notify_mail", "smtp_url"} <= found.pop(stack.beat)
    others = {secret for secrets in found.values() for secret in secrets}
    assert not {"notify_url", "notify_secret", "notify_mail"} & others


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"NOTIFY_URL": "hooks.example.com/very_secret"}, "NOTIFY_URL is not the address of a web server"),
        ({"NOTIFY_URL": "ftp://hooks.example.com/very_secret"}, "NOTIFY_URL is not the address of a web server"),
        ({"NOTIFY_URL": "https://operator:very_secret@example.com/"}, "NOTIFY_URL is not the address of a web server"),
        ({"NOTIFY_URL": "https://example.com/very_secret two"}, "NOTIFY_URL is not the address of a web server"),
        ({"NOTIFY_URL": "https://example.com:70000/very_secret"}, "the port in NOTIFY_URL is above 65535"),
        ({"NOTIFY_MAIL": "oncall@example.com"}, "NOTIFY_MAIL needs a mail server"),
        ({"NOTIFY_MAIL": "nobody", "SMTP_URL": "smtp://mail"}, "NOTIFY_MAIL=nobody is not a list of mail addresses"),
        ({"NOTIFY_MAIL": "oncall@example.com;ops@example.com", "SMTP_URL": "smtp://mail"}, "is not a list"),
    ],
)
def test_a_wrong_address_is_told_with_the_remedy(settings: dict[str, str], says: str) -> None:
    refused = run(["./build.sh"], env={"PREFIX": "warren_refused", **settings}, check=False)
    assert refused.returncode != 0
    error, empty, *remedy = refused.stderr.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert empty == ""
    assert remedy
    assert "very_secret" not in refused.stderr
