"""How the containers are run: with as few rights as they can work with."""

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import __version__
from tests.support.stack import PREFIX, Stack

#: RabbitMQ has a user for each.
BROKER_ROLES = ("publisher", "worker", "monitor", "flower")

ROLES = ("port_container", "nginx", "flask", "rabbitmq", "celery", "beat")


@pytest.fixture(params=ROLES)
def details(stack: Stack, request: pytest.FixtureRequest) -> Any:
    return stack.inspect(getattr(stack, request.param))


def test_limits_are_whole_and_it_comes_back_and_ends_in_time(details: Any) -> None:
    """What test_cis.py does not ask."""
    host = details["HostConfig"]
    assert host["MemorySwap"] == host["Memory"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"]["Config"]["max-size"]
    assert details["Config"]["StopTimeout"] > 0


def test_nobody_is_root(stack: Stack, details: Any) -> None:
    assert stack.docker("exec", details["Id"], "id", "-u") != "0"


def test_only_one_port_is_published_and_on_loopback(stack: Stack) -> None:
    published = {role: stack.inspect(getattr(stack, role))["HostConfig"]["PortBindings"] for role in ROLES}
    assert published.pop("port_container") == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert not any(published.values())


def test_each_container_is_in_its_networks_and_the_broker_is_out_of_reach(stack: Stack) -> None:
    front = f"{stack.prefix}_front_network"
    networks = {role: set(stack.inspect(getattr(stack, role))["NetworkSettings"]["Networks"]) for role in ROLES}
    assert networks == {
        "port_container": {front},
        "nginx": {front},
        "flask": {front, stack.network},
        "rabbitmq": {stack.network},
        "celery": {stack.network},
        "beat": {stack.network},
    }
    address = stack.inspect(stack.rabbitmq)["NetworkSettings"]["Networks"][stack.network]["IPAddress"]
    reach = f"exec 3<>/dev/tcp/{address}/5672"
    assert stack.docker("exec", stack.flask, "timeout", "3", "bash", "-c", f"{reach} && echo reached") == "reached"
    refused = stack.docker("exec", stack.nginx, "timeout", "3", "bash", "-c", f"{reach} && echo reached", check=False)
    assert "reached" not in refused.splitlines()


def test_secrets_are_files_for_their_owner_only_and_stand_nowhere_else(stack: Stack) -> None:
    files = [path for path in stack.secrets.iterdir() if path.is_file() and path.name != ".stack"]
    passwords = {f"{user}_password" for role in BROKER_ROLES for user in stack.broker_users(role)}
    assert len(passwords) == len(BROKER_ROLES)
    assert {path.name for path in files} == passwords | {"rabbitmq_definitions.json", "database_url"}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    secrets = [path.read_text().strip() for path in files]
    for role in ROLES:
        shown = stack.docker("inspect", getattr(stack, role)) + stack.docker("exec", getattr(stack, role), "env")
        assert not any(secret in shown for secret in secrets)
        assert "DATABASE_URL" not in shown


@pytest.mark.parametrize("role", ["flask", "celery", "beat"])
def test_the_ledgers_address_is_a_file_for_those_who_use_the_ledger(stack: Stack, role: str) -> None:
    assert stack.docker("exec", getattr(stack, role), "cat", "/run/secrets/database_url") == "sqlite:////db/backend.db"


@pytest.fixture
def stopped(stack: Stack) -> Iterator[str]:
    name = f"{stack.prefix}_stopped_container"
    stack.docker("create", "--name", name, "--network", stack.network, f"{stack.prefix}_flask")
    yield name
    stack.docker("rm", name)


@pytest.mark.parametrize("role", ROLES)
def test_the_name_of_a_container_that_is_stopped_is_unknown_at_once(stack: Stack, stopped: str, role: str) -> None:
    began = time.monotonic()
    assert stack.docker("exec", getattr(stack, role), "getent", "hosts", stopped, check=False) == ""
    assert time.monotonic() - began < 3


def test_images_tell_the_version(stack: Stack) -> None:
    for name in ("nginx", "flask", "rabbitmq", "celery"):
        labels = json.loads(stack.docker("image", "inspect", "--format", "{{json .Config.Labels}}", f"{PREFIX}_{name}"))
        assert labels["org.opencontainers.image.version"] == __version__


def test_the_web_has_no_task_code_and_users_may_do_only_what_they_need(stack: Stack) -> None:
    assert "tasks" not in stack.docker("exec", stack.flask, "ls", "/app").split()
    permissions = stack.docker(
        "exec", stack.rabbitmq, "rabbitmqctl", "--quiet", "list_permissions", "--vhost", "warren"
    )
    rows = {row[0]: row[1:] for line in permissions.splitlines()[1:] if (row := line.split("\t"))}
    users = {role: next(iter(stack.broker_users(role))) for role in BROKER_ROLES}
    assert rows.keys() == set(users.values())
    assert rows[users["publisher"]] == ["^$", "^jobs$", "^$"]
    assert rows[users["monitor"]][:2] == ["^$", "^$"]
    assert "heavy" not in rows[users["worker"]][0]


@pytest.mark.parametrize("role", ROLES)
def test_a_container_stops_by_itself_when_asked_to(stack: Stack, role: str) -> None:
    container = getattr(stack, role)
    stack.docker("stop", container)
    state = stack.inspect(container)["State"]
    stack.docker("start", container)
    stack.wait_healthy()
    # 137 would be SIGKILL: it did not react in time.
    assert state["ExitCode"] in (0, 143), state


def test_every_link_of_the_front_page_leads_somewhere(stack: Stack) -> None:
    links = re.findall(r'href="([^"#:]+)"', stack.http.get("/").text)
    assert {"flask", "flask/docs", "docs/tour.md", "docs/design.md"} <= set(links)
    for link in links:
        answer = stack.http.get(f"/{link}", follow_redirects=True)
        assert answer.status_code in (200, 202), link
        if link.endswith(".md"):
            assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"


def test_each_gunicorn_process_stays_on_a_processor_of_its_own(stack: Stack) -> None:
    master = stack.inspect(stack.flask)["State"]["Pid"]
    processes = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    processors = [os.sched_getaffinity(int(pid)) for pid in processes]
    assert [len(each) for each in processors] == [1] * len(processes)
    assert len(set.union(*processors)) == min(len(processes), len(os.sched_getaffinity(0)))


def test_a_small_answer_leaves_gunicorn_in_one_piece(stack: Stack) -> None:
    """Or a network that breaks could leave a client with the head of an answer only."""
    program = """
import socket, struct
with socket.create_connection(("127.0.0.1", 8000)) as connection:
    for _ in range(50):
        connection.sendall(b"GET /flask/healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        answer = b""
        while not answer.endswith(b"}\\n"):
            answer += connection.recv(65536)
    # Linux' struct tcp_info, tcpi_data_segs_in: how many packets with data have come in.
    print(*struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 152))
"""
    assert stack.docker("exec", stack.flask, "python", "-c", program).strip() == "50"


def test_nobody_waits_for_connections_at_the_shared_socket(stack: Stack) -> None:
    """A process of Nginx that waited there, because another one took the connection, would leave its clients alone."""
    program = """
from pathlib import Path
lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
[inode] = [line[9] for line in lines if line[1].endswith(":1F90") and line[3] == "0A"]  # port 8080, listening
[number] = [file.name for file in Path("/proc/1/fd").iterdir() if str(file.readlink()) == f"socket:[{inode}]"]
print(Path(f"/proc/1/fdinfo/{number}").read_text())
"""
    info = stack.docker("exec", stack.port_container, "python3", "-c", program)
    flags = re.search(r"^flags:\s+(\d+)$", info, re.MULTILINE)
    assert flags is not None
    assert int(flags[1], 8) & os.O_NONBLOCK
