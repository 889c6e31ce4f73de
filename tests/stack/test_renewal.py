"""./build.sh renews containers: nobody finds the port closed, and what fails its check does not stay."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.support.clients import asking
from tests.support.stack import Stack, wait_until


def ids(stack: Stack) -> dict[str, str]:
    return {name: stack.inspect(name)["Id"] for name in stack.containers()}


def test_all_containers_are_renewed_and_no_request_fails(stack: Stack) -> None:
    before = ids(stack)
    try:
        with asking(stack) as answers:
            stack.run("./build.sh", LOG_MAX_SIZE="7m")
        after = ids(stack)
        assert after.keys() == before.keys()
        # The owner of the port has no reason to change, and two of them cannot be.
        assert [name for name in after if after[name] == before[name]] == [stack.port_container]
        answers.check(stack)
    finally:
        stack.run("./build.sh")


#: A change that only these containers get, and do not survive: what they need is more.
CHANGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "nginx": ({"NGINX_MEMORY": "6m"}, "nginx_container_new", "The earlier {} goes on."),
    "rabbitmq": ({"RABBITMQ_MEMORY": "40m"}, "out of memory", "The earlier {} was started again."),
    "celery": ({"CELERY_MEMORY": "20m"}, "out of memory", "The earlier {} was started again."),
    "beat": ({"BEAT_MEMORY": "20m"}, "out of memory", "The earlier {} was started again."),
}


@pytest.mark.parametrize("role", CHANGES)
def test_a_new_container_that_fails_its_check_goes_and_the_old_one_works_on(stack: Stack, role: str) -> None:
    settings, reason, outcome = CHANGES[role]
    before = ids(stack)
    with asking(stack) as answers:
        refused = stack.run("./build.sh", check=False, **settings)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert reason in said
    assert outcome.format(getattr(stack, role)) in said
    assert ids(stack) == before
    stack.wait_healthy()
    # A new Nginx that lives long enough to take a request, and then dies, may lose that one.
    if role != "nginx":
        answers.check(stack)


def test_a_new_flask_that_hangs_goes_and_the_old_one_works_on(stack: Stack) -> None:
    before = ids(stack)
    with asking(stack) as answers, ThreadPoolExecutor() as pool:
        build = pool.submit(stack.run, "./build.sh", check=False, WEB_THREADS="3", HEALTH_TIMEOUT="5")
        pause = partial(stack.docker, "pause", f"{stack.flask}_stand_in")
        wait_until(pause, 60, "the new one has begun", lambda _output: True, interval=0.02)
        refused = build.result()
    assert refused.returncode != 0
    assert "not healthy after " in refused.stderr
    assert f"The earlier {stack.flask} goes on." in refused.stderr
    assert ids(stack) == before
    answers.check(stack)


def test_a_container_that_ends_again_and_again_is_replaced(stack: Stack) -> None:
    stack.docker("rm", "--force", stack.beat)
    options = (f"--name={stack.beat}", f"--label=warren.stack={stack.prefix}", f"--network={stack.network}")
    stack.docker("run", "--detach", "--restart=unless-stopped", *options, "warren_base:trixie", "false")
    wait_until(
        lambda: stack.inspect(stack.beat)["State"]["Status"], 30, "it ends", lambda status: status == "restarting"
    )
    stack.run("./build.sh")
    stack.wait_healthy(stack.beat)


def test_after_the_owner_of_the_port_has_died_the_stack_is_reached_again(stack: Stack) -> None:
    restarts = stack.inspect(stack.port_container)["RestartCount"]
    stack.kill(stack.port_container)
    wait_until(lambda: stack.inspect(stack.port_container)["RestartCount"] > restarts, 30, "it was started again")
    wait_until(lambda: stack.http.get("/flask/healthz").status_code == 200, 60, "Nginx has the new socket")
    stack.wait_healthy()
