"""The tools that are off until somebody starts them: who may look, that nobody can change a thing, what they show."""

import json
import stat
from collections.abc import Iterator

import httpx
import pytest

from tests.stack import test_cis, test_containers
from tests.stack.test_scripts import container_ids
from tests.support.project import ROOT
from tests.support.stack import Stack, run, wait_until
from tests.support.tools import TOOLS, USER, all_started, start


def container(stack: Stack, tool: str) -> str:
    return f"{stack.prefix}_{tool}_container"


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> Iterator[dict[str, str]]:
    """Start all tools, and return the password of each."""
    with all_started(stack) as passwords:
        yield passwords


@pytest.fixture(scope="module")
def visitors(stack: Stack, passwords: dict[str, str]) -> Iterator[dict[str, httpx.Client]]:
    """Return a client for each tool that knows its password."""
    clients = {
        tool: httpx.Client(base_url=stack.url, auth=(USER, password), timeout=30)
        for tool, password in passwords.items()
    }
    yield clients
    for client in clients.values():
        client.close()


# --- who may look -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_only_who_has_the_password_may_look(
    stack: Stack, visitors: dict[str, httpx.Client], passwords: dict[str, str], tool: str
) -> None:
    for wrong in (None, (USER, "guess"), ("admin", passwords[tool]), (USER, "")):
        answer = stack.http.get(TOOLS[tool], auth=wrong)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == f'Basic realm="Warren: {TOOLS[tool].strip("/")}"'
    for other in TOOLS.keys() - {tool}:
        assert stack.http.get(TOOLS[tool], auth=(USER, passwords[other])).status_code == 401
    assert visitors[tool].get(TOOLS[tool].rstrip("/"), follow_redirects=True).status_code == 200


@pytest.mark.parametrize("tool", TOOLS)
def test_nothing_can_be_changed(visitors: dict[str, httpx.Client], tool: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("", "api/queues/warren/heavy", "-/quit", "api/v1/admin/tsdb/snapshot"):
            answer = visitors[tool].request(method, TOOLS[tool] + path)
            assert answer.status_code in (404, 405), (method, path)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_pages_may_load_nothing_from_elsewhere(visitors: dict[str, httpx.Client], tool: str) -> None:
    answer = visitors[tool].get(TOOLS[tool], follow_redirects=True)
    policies = answer.headers.get_list("Content-Security-Policy")
    assert len(policies) == 1
    assert "default-src 'self' 'unsafe-inline' 'unsafe-eval';" in policies[0]
    assert "frame-ancestors 'none'" in policies[0]
    assert visitors[tool].get("/flask").headers["Content-Security-Policy"].startswith("default-src 'self';")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_password_is_kept_as_a_hash_only(stack: Stack, passwords: dict[str, str], tool: str) -> None:
    kept = stack.secrets / "tools" / TOOLS[tool].strip("/")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    shown = kept.read_text() + stack.docker("inspect", container(stack, tool), stack.nginx)
    assert passwords[tool] not in shown
    assert shown.startswith(f"{USER}:{{SSHA}}")


@pytest.mark.parametrize("tool", TOOLS)
def test_starting_again_changes_nothing(stack: Stack, visitors: dict[str, httpx.Client], tool: str) -> None:
    before = container_ids(stack)
    done = stack.run(f"ops/{tool}.sh", "start")
    assert "password: " not in done.stdout
    assert "--new-password" in done.stdout
    assert container_ids(stack) == before
    assert visitors[tool].get(TOOLS[tool], follow_redirects=True).status_code == 200


def test_a_new_password_replaces_the_old_one(
    stack: Stack, visitors: dict[str, httpx.Client], passwords: dict[str, str]
) -> None:
    before = container_ids(stack)
    password = start(stack, "flower", "--new-password")
    assert stack.http.get("/flower/", auth=(USER, passwords["flower"])).status_code == 401
    assert stack.http.get("/flower/", auth=(USER, password)).status_code == 200
    assert container_ids(stack) == before
    passwords["flower"] = password
    visitors["flower"].auth = httpx.BasicAuth(USER, password)


@pytest.mark.parametrize("arguments", [[], ["restart"], ["start", "now"], ["stop", "--new-password"]])
def test_a_wrong_argument_is_named(stack: Stack, arguments: list[str]) -> None:
    refused = stack.run("ops/flower.sh", *arguments, check=False)
    assert refused.returncode == 1
    error, empty, remedy = refused.stderr.splitlines()
    assert error == f"error: not start or stop: {' '.join(arguments) or 'nothing'}"
    assert (empty, remedy) == ("", "See: ops/flower.sh --help")


def test_a_setting_that_prometheus_would_not_take_is_named(stack: Stack, passwords: dict[str, str]) -> None:
    refused = stack.run("ops/prometheus.sh", "start", check=False, PROMETHEUS_RETENTION="forever")
    assert refused.returncode != 0
    assert "error: PROMETHEUS_RETENTION=forever is not a time" in refused.stderr
    refused = stack.run("ops/prometheus.sh", "start", check=False, PROMETHEUS_SIZE="1")
    assert "error: PROMETHEUS_SIZE=1 is not a size" in refused.stderr


# --- the containers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_the_containers_have_as_few_rights_as_the_others(stack: Stack, passwords: dict[str, str], tool: str) -> None:
    wait_until(
        lambda: stack.health(container(stack, tool)),
        120,
        f"Docker has found {tool} healthy",
        lambda health: health == "healthy",
    )
    details = stack.inspect(container(stack, tool))
    assert test_cis.unmet(details) == set()
    test_containers.test_limits_are_whole_and_it_comes_back_and_ends_in_time(details)
    test_containers.test_nobody_is_root(stack, details)
    assert not details["HostConfig"]["PortBindings"]
    assert not any(mount["Destination"] == "/db" for mount in details["Mounts"])


def test_flower_may_ask_the_workers_and_hear_them_and_nothing_else(stack: Stack, passwords: dict[str, str]) -> None:
    program = """
import amqp
from kombu import Connection
from jobs.settings import settings

def refused(method, *arguments, **options):
    with Connection(settings().broker_url) as connection:
        try:
            getattr(connection.default_channel, method)(*arguments, **options)
        except amqp.AccessRefused:
            return True
        return False

print([
    refused("basic_get", "heavy"),
    refused("queue_purge", "heavy"),
    refused("queue_declare", "another"),
    refused("basic_publish_confirm", amqp.Message(""), "jobs", "heavy"),
    refused("basic_publish_confirm", amqp.Message(""), "celeryev", "worker.heartbeat"),
    refused("exchange_declare", "celeryev", "topic", durable=True, auto_delete=False),
])
"""
    said = stack.docker("exec", container(stack, "flower"), "python", "-c", program)
    assert said == str([True] * 5 + [False])


def test_a_build_renews_the_tools_that_run_and_only_what_has_changed(stack: Stack, passwords: dict[str, str]) -> None:
    before = container_ids(stack)
    try:
        stack.run("./build.sh", FLOWER_MEMORY="200m")
        after = container_ids(stack)
        assert {name for name in before if before[name] != after[name]} == {container(stack, "flower")}
        assert stack.http.get("/flower/", auth=(USER, passwords["flower"])).status_code == 200
    finally:
        stack.run("ops/flower.sh", "start")


def test_a_tool_that_was_renewed_is_found_again(stack: Stack, visitors: dict[str, httpx.Client]) -> None:
    name, network, holder = container(stack, "rabbitmq_ui"), f"{stack.prefix}_front_network", f"{stack.prefix}_holder"

    def address() -> str:
        return str(stack.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])

    # Docker gives away the lowest address that is free. So it gets another one if a lower one has become free.
    stack.docker("stop", name)
    try:
        options = ("--detach", "--rm", "--no-healthcheck", "--network", network, "--name", holder)
        stack.docker("run", *options, f"{stack.prefix}_nginx", "sleep", "300")
        stack.docker("start", name)
        stack.wait_healthy(name)
    finally:
        stack.docker("rm", "--force", holder)
    before = address()
    wait_until(lambda: visitors["rabbitmq_ui"].get("/rabbitmq/").status_code, 20, "it is there", lambda n: n == 200)
    try:
        stack.run("ops/rabbitmq_ui.sh", "start", NGINX_MEMORY="70m")
        assert address() != before
        # Nginx looks for the address again once it is older than a whole second.
        wait_until(lambda: visitors["rabbitmq_ui"].get("/rabbitmq/").status_code, 20, "it is found", lambda n: n == 200)
    finally:
        stack.run("ops/rabbitmq_ui.sh", "start")


def test_without_its_container_a_tool_is_missing_and_nothing_else(
    stack: Stack, visitors: dict[str, httpx.Client]
) -> None:
    name = container(stack, "rabbitmq_ui")
    stack.docker("stop", name)
    try:
        stack.docker("restart", stack.nginx)
        stack.wait_healthy(stack.nginx)
        answer = visitors["rabbitmq_ui"].get("/rabbitmq/")
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert stack.http.get("/flask/healthz").status_code == 200
    finally:
        stack.docker("start", name)
        stack.wait_healthy(name)
    wait_until(lambda: visitors["rabbitmq_ui"].get("/rabbitmq/").status_code, 20, "it is back", lambda n: n == 200)


# --- what they show ---------------------------------------------------------------------------------------------------


def jobs_in(flower: httpx.Client) -> dict[str, str]:
    """Return the state of each job that Flower knows."""
    form = {"draw": 1, "start": 0, "length": 1000, "order[0][column]": 0, "columns[0][data]": "received"}
    answer = flower.post("/flower/tasks/datatable", data=form)
    assert answer.status_code == 200, answer.text
    return {row["uuid"]: row["state"] for row in answer.json()["data"]}


def workers_in(flower: httpx.Client) -> dict[str, bool]:
    """Return the workers that Flower knows, and whether they are alive."""
    rows = flower.get("/flower/workers", params={"json": "1"}).json()["data"]
    return {row["hostname"]: row["status"] for row in rows}


def seen_by_flower(stack: Stack, flower: httpx.Client) -> str:
    """Submit jobs until Flower sees one of them end: a worker hears within 5 s that it is to tell. Return its id."""

    def look() -> str | None:
        task_id = stack.submit("add", a=1, b=2)
        stack.wait_state(task_id, "SUCCESS")
        return next((known for known, state in jobs_in(flower).items() if state == "SUCCESS"), None)

    return str(wait_until(look, 30, "Flower sees a job"))


def events_were_on(stack: Stack) -> set[bool]:
    """Ask each worker whether it has been telling of its jobs; none does afterwards."""
    control = ("exec", stack.celery, "celery", "--app", "jobs.app", "control", "--json")
    answers = json.loads(stack.docker(*control, "enable_events"))
    stack.docker(*control, "disable_events")
    said = {reply["ok"] for answer in answers for reply in answer.values()}
    assert said <= {"task events enabled", "task events already enabled"}
    return {"already" in each for each in said}


def test_flower_shows_workers_and_jobs_as_they_change(stack: Stack, visitors: dict[str, httpx.Client]) -> None:
    flower = visitors["flower"]
    wait_until(lambda: workers_in(flower), 30, "the worker is seen", lambda seen: seen.get(f"worker@{stack.celery}"))
    seen_by_flower(stack, flower)
    failing = stack.submit("divide", a=1, b=0)
    stack.wait_state(failing, "FAILURE")
    wait_until(lambda: jobs_in(flower), 10, "the failure is seen", lambda jobs: jobs.get(failing) == "FAILURE")
    assert flower.get(f"/flower/task/{failing}").status_code == 200
    assert flower.get(f"/flower/worker/worker@{stack.celery}").status_code == 200


def test_flower_does_not_answer_programs(visitors: dict[str, httpx.Client]) -> None:
    for path in ("api/workers", "api/tasks", "metrics", "healthcheck"):
        assert visitors["flower"].get(f"/flower/{path}").status_code == 404


def test_rabbitmqs_page_is_signed_in_as_a_user_who_may_only_look(
    stack: Stack, visitors: dict[str, httpx.Client], passwords: dict[str, str]
) -> None:
    page = visitors["rabbitmq_ui"].get("/rabbitmq/")
    assert "has_auth_credentials = () => true" in page.text
    me = visitors["rabbitmq_ui"].get("/rabbitmq/api/whoami").json()
    assert ([me["name"]], me["tags"]) == ([*stack.broker_users("monitor")], ["monitoring"])
    queues = visitors["rabbitmq_ui"].get("/rabbitmq/api/queues/warren").json()
    assert {"heavy", "export", "arithmetic"} <= {queue["name"] for queue in queues}
    assert all("messages_ready" in queue for queue in queues if queue["type"] == "quorum")
    assert visitors["rabbitmq_ui"].get("/rabbitmq/api/definitions").status_code == 401
    assert visitors["rabbitmq_ui"].get("/rabbitmq/api/users").status_code == 401


def test_prometheus_knows_whom_to_ask_and_what_to_look_at(stack: Stack, visitors: dict[str, httpx.Client]) -> None:
    rules = visitors["prometheus"].get("/prometheus/api/v1/rules").json()["data"]["groups"]
    assert {group["name"] for group in rules} == {"jobs", "parts"}
    wait_until(
        lambda: visitors["prometheus"].get("/prometheus/api/v1/rules").json()["data"]["groups"],
        60,
        "each rule has been looked at",
        lambda groups: all(rule["health"] == "ok" for group in groups for rule in group["rules"]),
    )
    targets = visitors["prometheus"].get("/prometheus/api/v1/targets").json()["data"]["activeTargets"]
    urls = {target["labels"]["job"]: target["scrapeUrl"] for target in targets}
    assert urls["web"] == f"http://{stack.flask}:8000/metrics"
    assert urls["rabbitmq"] == f"http://{stack.rabbitmq}:15692/metrics"


def test_prometheus_gets_figures_of_each_part(visitors: dict[str, httpx.Client]) -> None:
    def up() -> dict[str, str]:
        answer = visitors["prometheus"].get("/prometheus/api/v1/query", params={"query": "up"}).json()
        return {series["metric"]["job"]: series["value"][1] for series in answer["data"]["result"]}

    wait_until(up, 60, "all are up", lambda jobs: jobs == {"web": "1", "workers": "1", "rabbitmq": "1"})


# --- the rules of Prometheus ------------------------------------------------------------------------------------------


def promtool(stack: Stack, *arguments: str) -> str:
    """Run promtool in the image of Prometheus."""
    mount = f"type=bind,source={ROOT}/tests/stack/alerts.yml,target=/tests/alerts.yml,readonly"
    image = f"{stack.prefix}_prometheus"
    return run(["docker", "run", "--rm", "--network=none", "--mount", mount, image, "promtool", *arguments]).stdout


def test_the_configuration_and_its_rules_are_right(stack: Stack, passwords: dict[str, str]) -> None:
    assert "SUCCESS" in promtool(stack, "check", "config", "/etc/prometheus/prometheus.yml")


def test_each_alert_is_raised_when_it_should_be(stack: Stack, passwords: dict[str, str]) -> None:
    promtool(stack, "test", "rules", "/tests/alerts.yml")


# --- the end: the last tests of this file -----------------------------------------------------------------------------


def test_events_of_the_workers_are_on_only_while_flower_runs(stack: Stack, visitors: dict[str, httpx.Client]) -> None:
    added = f"{stack.celery}_2"
    try:
        stack.run("./launch_celery_worker.sh", "1", "--concurrency", "1")
        wait_until(lambda: workers_in(visitors["flower"]), 30, "it is seen", lambda seen: seen.get(f"worker@{added}"))
        seen_by_flower(stack, visitors["flower"])
        wait_until(lambda: stack.logs(added), 30, "it is told", lambda log: "Events of group {task} enabled" in log)
        stack.run("ops/flower.sh", "stop")
        assert events_were_on(stack) == {False}
    finally:
        stack.docker("rm", "--force", added, check=False)


@pytest.mark.parametrize("tool", TOOLS)
def test_stopping_a_tool_takes_it_away(stack: Stack, visitors: dict[str, httpx.Client], tool: str) -> None:
    stack.run(f"ops/{tool}.sh", "stop")
    assert container(stack, tool) not in stack.containers()
    assert visitors[tool].get(TOOLS[tool]).status_code == 404
    assert stack.http.post(TOOLS[tool]).status_code == 404
    assert not (stack.secrets / "tools" / TOOLS[tool].strip("/")).exists()
    again = stack.run(f"ops/{tool}.sh", "stop")
    assert "It does not run." in again.stdout
