"""ops/rotate_secrets.sh: new passwords under load. No request fails, no job is lost, and earlier ones are not good."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import amqp
import httpx
import pytest

from tests.stack.test_containers import BROKER_ROLES
from tests.stack.test_scripts import container_ids
from tests.support.clients import asking
from tests.support.stack import BUILD_TIMEOUT, Stack, run, wait_until
from tests.support.tools import TOOLS, USER, start

ROTATE = "ops/rotate_secrets.sh"

Logins = dict[str, str]


def logins(stack: Stack) -> Logins:
    """Return all users of RabbitMQ that have a file, with their passwords."""
    return {user: password for role in BROKER_ROLES for user, password in stack.broker_users(role).items()}


def is_let_in(stack: Stack, user: str, password: str) -> bool:
    """Tell whether RabbitMQ accepts this login. The machine has a leg in each bridge, so the test can ask."""
    address = stack.inspect(stack.rabbitmq)["NetworkSettings"]["Networks"][stack.network]["IPAddress"]
    connection = amqp.Connection(
        host=f"{address}:5672",
        userid=user,
        password=password,
        virtual_host="warren",
        connect_timeout=10,
        read_timeout=10,
    )
    try:
        connection.connect()
    except amqp.AccessRefused:
        return False
    finally:
        connection.collect()
    return True


def check_rotated(stack: Stack, before: Logins) -> None:
    """Fail unless there is one new user for each role, and none of the earlier ones is let in."""
    now = logins(stack)
    assert len(now) == len(BROKER_ROLES)
    assert not now.keys() & before.keys()
    assert not set(now.values()) & set(before.values())
    assert [user for user, password in now.items() if not is_let_in(stack, user, password)] == []
    assert [user for user, password in before.items() if is_let_in(stack, user, password)] == []
    known = stack.docker("exec", stack.rabbitmq, "rabbitmqctl", "--silent", "list_users")
    assert {line.split("\t")[0] for line in known.splitlines()} == now.keys()


@contextmanager
def flask_reaches_rabbitmq(stack: Stack) -> Iterator[None]:
    """Ask Flask again and again while the block runs; each time it has to be let in. On a busy machine it may wait."""
    stop, troubles = threading.Event(), []

    def ask() -> None:
        with httpx.Client(base_url=stack.url, timeout=30) as http:
            while not stop.wait(0.1):
                answer = http.get("/flask/queues")
                trouble = answer.json()["rabbitmq"]
                if answer.status_code != 200 or not (trouble == "ok" or "no answer within" in trouble):
                    troubles.append(answer.text)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        try:
            yield
        finally:
            stop.set()
    asked.result()
    assert troubles == []


def refused_logins(stack: Stack) -> list[str]:
    return [line for line in stack.logs(stack.rabbitmq).splitlines() if "invalid credentials" in line]


# --- under load -------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_all_passwords_are_new_and_no_request_or_job_is_lost(stack: Stack) -> None:
    before, containers, refused = logins(stack), container_ids(stack), refused_logins(stack)
    stack.run("./launch_celery_worker.sh")
    try:
        with asking(stack) as answers, flask_reaches_rabbitmq(stack):
            done = stack.run(ROTATE, timeout=BUILD_TIMEOUT)
        # Nobody has come with a password that was not good yet, or no longer.
        assert refused_logins(stack) == refused
        answers.check(stack)
        check_rotated(stack, before)
        assert f"{stack.celery}_2" in done.stdout
        after = container_ids(stack)
        unchanged = {name for name in containers if after[name] == containers[name]}
        assert unchanged == {stack.rabbitmq, stack.nginx, stack.port_container}
        printed = done.stdout + done.stderr
        assert not [user for user, password in (before | logins(stack)).items() if password in printed]

        # What it has changed is what ./build.sh finds in order.
        stack.run("./build.sh", timeout=BUILD_TIMEOUT)
        assert container_ids(stack) == after
    finally:
        stack.run("ops/retire_workers.sh")


def test_a_rabbitmq_that_is_made_anew_knows_the_new_passwords(stack: Stack) -> None:
    """Also without its data."""
    stack.docker("rm", "--force", stack.rabbitmq)
    stack.docker("volume", "rm", f"{stack.prefix}_rabbitmq_data")
    stack.run("./build.sh", timeout=BUILD_TIMEOUT)
    stack.wait_healthy()
    assert all(is_let_in(stack, user, password) for user, password in logins(stack).items())
    stack.wait_state(stack.submit_heavy(), "SUCCESS", timeout=60)


# --- interrupted ------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_interrupted_runs_do_no_harm_and_the_next_one_ends_well(stack: Stack, tmp_path: Path) -> None:
    known = logins(stack)
    learned = ("exec", stack.rabbitmq, "stat", "--format", "%Y %i", "/tmp/learned.json")
    at_first = stack.docker(*learned, check=False)
    moments: dict[str, Callable[[str], bool]] = {
        "RabbitMQ knows the new users, and nobody else does": lambda _: stack.docker(*learned, check=False) != at_first,
        "some containers use them": lambda printed: f"s  {stack.flask}" in printed,
    }
    with asking(stack) as answers, flask_reaches_rabbitmq(stack):
        for moment, is_now in moments.items():
            stack.run_and_kill(ROTATE, "broker", output=tmp_path / "output", timeout=120, why=moment, is_now=is_now)
            # Whoever has to log in now is let in: what starts again, and what is added.
            running = [name for name in stack.containers() if name in (stack.celery, stack.beat)]
            stack.docker("restart", *running)
            stack.wait_healthy(*running)
            stack.run("./launch_celery_worker.sh")
            stack.wait_state(stack.submit_heavy(), "SUCCESS", timeout=60)
            known |= logins(stack)
            stack.run("ops/retire_workers.sh")
        stack.run(ROTATE, "broker", timeout=BUILD_TIMEOUT)
    answers.check(stack)
    check_rotated(stack, known)
    assert not [name for name in stack.containers() if name.endswith(("_new", "_old", "_stand_in"))]


# --- the others -------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_tools_get_new_passwords_and_go_on_with_new_users(stack: Stack) -> None:
    before = {tool: start(stack, tool) for tool in ("flower", "rabbitmq_ui")}
    try:
        done = stack.run(ROTATE, timeout=BUILD_TIMEOUT)
        shown = re.findall(r"^  http\S+/(\w+)/\n +user: +operator\n +password: (\S+)$", done.stdout, re.MULTILINE)
        assert [name for name, _ in shown] == ["flower", "rabbitmq"]
        now = {"flower": shown[0][1], "rabbitmq_ui": shown[1][1]}
        for tool in now:
            assert stack.http.get(TOOLS[tool], auth=(USER, before[tool])).status_code == 401
            wait_until(
                lambda tool=tool: stack.http.get(TOOLS[tool], auth=(USER, now[tool])).status_code,  # type: ignore[misc]
                20,
                "it is there",
                lambda status: status == 200,
            )
        me = stack.http.get("/rabbitmq/api/whoami", auth=(USER, now["rabbitmq_ui"])).json()
        assert [me["name"]] == [*stack.broker_users("monitor")]

        # Their passwords only: no container is touched.
        containers = container_ids(stack)
        stack.run(ROTATE, "tools")
        assert container_ids(stack) == containers
        assert stack.http.get(TOOLS["flower"], auth=(USER, now["flower"])).status_code == 401
    finally:
        for tool in before:
            stack.run(f"ops/{tool}.sh", "stop")


def rotate_session_key(stack: Stack, folder: Path, web: str) -> list[str]:
    """Do only the step of the session keys, with this container for Flask; return the keys."""
    code = "source ./settings.sh; source ops/lib.sh; source ops/secrets.sh; FLASK_CONTAINER=$0; renew_session_key"
    run(["bash", "-euc", code, web], env=stack.env | {"SECRETS_DIR": str(folder)})
    return (folder / "session_keys").read_text().split()


def test_sessions_are_signed_anew_and_the_last_key_stays_good_until_flask_has_the_new_one(
    stack: Stack, tmp_path: Path
) -> None:
    file, web = tmp_path / "session_keys", f"{stack.prefix}_web"
    file.write_text("the first key\n".replace(" ", "_"))
    mount = f"--mount=type=bind,source={file},target=/run/secrets/session_keys,readonly"
    stack.docker(
        "run", "--detach", "--name", web, "--init", "--network=none", mount, "warren_base:trixie", "sleep", "600"
    )
    try:
        second, first = rotate_session_key(stack, tmp_path, web)
        assert first == "the_first_key"
        assert second != first
        # It was interrupted before the web had the second: a third would push out the one that it signs with.
        assert rotate_session_key(stack, tmp_path, web) == [second, first]
        stack.docker("restart", web)
        third, *others = rotate_session_key(stack, tmp_path, web)
        assert others == [second]
        assert third not in (first, second)
    finally:
        stack.docker("rm", "--force", web)


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["everything"], "error: unknown name: everything"),
        (["broker", "--now"], "error: unknown name: --now"),
    ],
)
def test_a_wrong_argument_is_named_with_the_remedy(stack: Stack, arguments: list[str], says: str) -> None:
    check_refused(stack, arguments, says)


def test_a_secret_that_there_is_not_is_named_with_the_remedy(stack: Stack) -> None:
    (stack.secrets / "notify_secret").unlink(missing_ok=True)  # notices that were on once leave theirs
    check_refused(stack, ["notify_secret"], "error: notices are not signed, so there is no notify_secret")


def check_refused(stack: Stack, arguments: list[str], says: str) -> None:
    before = logins(stack), container_ids(stack)
    refused = stack.run(ROTATE, *arguments, check=False)
    assert refused.returncode == 1
    error, empty, remedy = refused.stderr.splitlines()
    assert (error, empty) == (says, "")
    assert remedy
    assert (logins(stack), container_ids(stack)) == before


def test_other_settings_than_those_of_the_build_are_refused(stack: Stack) -> None:
    """Or a renewal of passwords could switch the login off, for instance."""
    before = logins(stack), container_ids(stack)
    for setting, value in (("WEB_THREADS", "5"), ("AUTH", "on"), ("CELERY_CONCURRENCY", "3")):
        refused = stack.run(ROTATE, check=False, **{setting: value})  # type: ignore[arg-type]
        assert refused.returncode == 1
        error, empty, remedy = refused.stderr.splitlines()
        assert error.endswith(f"was made with another setting than {setting}={value}")
        assert empty == ""
        assert "./build.sh" in remedy
    assert (logins(stack), container_ids(stack)) == before


def test_passwords_of_other_servers_are_named_and_not_shown(stack: Stack) -> None:
    (stack.secrets / "smtp_url").write_text("smtp://user:a_pass_word@mail.example.com\n")
    try:
        done = stack.run(ROTATE, "tools")
    finally:
        (stack.secrets / "smtp_url").unlink()
    assert "SMTP_URL is the address of another server" in done.stdout
    assert "a_pass_word" not in done.stdout + done.stderr
    assert "DATABASE_URL is" not in done.stdout
