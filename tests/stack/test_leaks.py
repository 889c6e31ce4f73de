"""No secret stands where it does not belong: in images, containers, logs, answers, or on a command line.

At the end something is planted on purpose in each place, and has to be found there.
"""

import base64
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support import leaks
from tests.support.leaks import Search, Watch
from tests.support.stack import BUILD_TIMEOUT, Stack, run, wait_until
from tests.support.tools import TOOLS, USER, all_started

Look = Callable[[Stack], bytes]

#: Each place, and how to look there.
PLACES: dict[str, Look] = {
    "containers": leaks.of_containers,
    "processes": leaks.of_processes,
    "logs": leaks.of_logs,
    "images": leaks.of_images,
    "ledger": leaks.of_ledger,
    "metrics": leaks.of_metrics,
}


@pytest.fixture(scope="module")
def tools(stack: Stack) -> Iterator[dict[str, str]]:
    """Start all tools, and return the password of each."""
    with all_started(stack) as passwords:
        yield passwords


@pytest.fixture(scope="module")
def search(stack: Stack, tools: dict[str, str]) -> Search:
    """Return a search for all secrets of the stack, and let its parts use them first."""
    stack.wait_state(stack.submit("add", a=1, b=2), "SUCCESS")
    stack.wait_state(stack.submit("export"), "SUCCESS")
    cookie = stack.docker("exec", stack.rabbitmq, "cat", "/var/lib/rabbitmq/.erlang.cookie")
    known = leaks.secrets_in(stack.secrets)
    files = {name.partition(",")[0] for name in known}
    roles = ("publisher", "worker", "monitor", "flower")
    assert all(any(file.startswith(role) for file in files) for role in roles)
    assert {"rabbitmq_definitions.json", "tools/flower", "tools/prometheus", "tools/rabbitmq"} <= files
    assert len([name for name in known if name.startswith("rabbitmq_definitions.json")]) == len(roles)
    return Search(known | {f"password of {tool}": text for tool, text in tools.items()} | {"Erlang cookie": cookie})


# --- the places -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_in(stack: Stack, search: Search, place: str) -> None:
    text = PLACES[place](stack)
    assert len(text) > 1000
    assert search.text(text) == set()


def test_no_secret_is_in_the_files_of_the_images(stack: Stack, search: Search) -> None:
    names = leaks.images(stack)
    assert {f"{stack.prefix}_{name}" for name in ("flask", "celery", "rabbitmq", "nginx", "flower")} <= set(names)
    assert search.output("docker", "save", *names) == set()


def test_no_secret_is_in_what_containers_have_written_to_their_file_systems(stack: Stack) -> None:
    """Their root is read-only, so there is only what Docker makes to mount something there."""
    for name in stack.containers():
        changed = {line.split()[1] for line in stack.docker("diff", name).splitlines() if line[0] != "D"}
        mounted = [mount["Destination"] for mount in stack.inspect(name)["Mounts"]] + ["/etc/mtab", "/dev"]
        assert [path for path in changed if not any(m.startswith(path) for m in mounted)] == [], name


def test_a_backup_has_the_secrets_in_its_files_and_nowhere_else(stack: Stack, search: Search, tmp_path: Path) -> None:
    listing = leaks.of_backup(stack, tmp_path)
    assert b"secrets/rabbitmq_definitions.json" in listing
    assert search.text(listing) == set()
    (file,) = tmp_path.iterdir()
    assert search.output("tar", "--extract", "--to-stdout", "--file", str(file)) != set()


# --- answers ----------------------------------------------------------------------------------------------------------

PAGES = ("/", "/flask", "/flask/schedules", "/flask/todos", "/flask/openapi.json", "/flask/docs", "/flask/queues",
         "/flask/healthz", "/flask/healthz/background", "/flask/tasks", "/proxy-health")  # fmt: skip


def test_no_secret_is_in_an_answer(stack: Stack, search: Search) -> None:
    for accept in ("text/html", "application/json"):
        answers = [stack.http.get(path, headers={"Accept": accept}) for path in PAGES]
        assert {answer.status_code for answer in answers} == {200}
        assert search.text(b"\n".join(map(leaks.whole, answers))) == set()


#: Requests that are refused, and the status that they get: some by Nginx, others by Flask.
REFUSED = [
    (400, ("GET", "/flask/status", {})),
    (400, ("POST", "/flask/add", {"content": b"{"})),
    (404, ("GET", "/nothing", {})),
    (404, ("GET", "/flask/tasks/nothing", {})),
    (405, ("PUT", "/flask/tasks", {})),
    (413, ("POST", "/flask/add", {"content": b" " * 2_000_000})),
    (414, ("GET", "/" + "x" * 20_000, {})),
    (422, ("POST", "/flask/divide", {"json": {"a": "x"}})),
]


def ask_in_vain(stack: Stack, status: int, method: str, path: str, **more: object) -> bytes:
    """Return the error pages for programs and for browsers."""
    found = b""
    for accept in ("text/html", "application/json"):
        answer = stack.http.request(method, path, headers={"Accept": accept}, **more)  # type: ignore[arg-type]
        assert answer.status_code == status, (method, path)
        found += leaks.whole(answer)
    return found


@pytest.mark.parametrize(("status", "request_"), REFUSED)
def test_no_secret_is_in_a_refusal(
    stack: Stack, search: Search, status: int, request_: tuple[str, str, dict[str, object]]
) -> None:
    method, path, more = request_
    assert search.text(ask_in_vain(stack, status, method, path, **more)) == set()


def test_no_secret_is_told_when_rabbitmq_is_away(stack: Stack, search: Search) -> None:
    stack.docker("stop", stack.rabbitmq)
    try:
        said = ask_in_vain(stack, 503, "GET", "/flask/healthz/background") + stack.http.get("/flask/queues").content
        said += stack.run("./list_queues.sh", check=False).stderr.encode()
        stack.submit("add", a=1, b=2)  # the relay says in the log why it cannot be published
        wait_until(lambda: "not published" in stack.logs(stack.flask), 30, "the relay says so")
    finally:
        stack.docker("start", stack.rabbitmq)
        stack.wait_healthy()
    assert search.text(said + leaks.of_logs(stack)) == set()


def test_no_secret_is_told_when_rabbitmq_lets_nobody_in(stack: Stack, search: Search) -> None:
    """What a library says of a refused login is in the logs."""
    control = ("exec", stack.rabbitmq, "rabbitmqctl", "--quiet")
    users = [line.split()[0] for line in stack.docker(*control, "list_users").splitlines()[1:]]
    for user in users:
        stack.docker(*control, "clear_password", user)
    try:
        stack.docker("restart", stack.celery, stack.beat)
        said = wait_until(
            lambda: stack.http.get("/flask/queues"),
            30,
            "Flask is refused",
            lambda answer: answer.json()["rabbitmq"] != "ok",
        )
        wait_until(
            lambda: stack.logs(stack.rabbitmq),
            60,
            "the worker is refused",
            lambda log: log.count("invalid credentials") > 2,
        )
        logs = leaks.of_logs(stack)
    finally:
        stack.docker("restart", stack.rabbitmq)  # it reads the hashes again
        stack.wait_healthy()
    assert search.text(leaks.whole(said) + logs) == set()


def test_no_secret_is_told_when_the_ledger_is_away_or_broken(stack: Stack, search: Search) -> None:
    file, aside = stack.db / "backend.db", stack.db / "aside.db"
    file.rename(aside)
    try:
        said = ask_in_vain(stack, 503, "POST", "/flask/heavy")
    finally:
        aside.rename(file)
    task_id = stack.submit("add", a=1, b=2)
    stack.wait_state(task_id, "SUCCESS")
    change(stack, task_id, "{")  # no code expects this
    try:
        said += ask_in_vain(stack, 500, "GET", f"/flask/tasks/{task_id}")
        said += leaks.of_logs(stack)
        assert b"JSONDecodeError" in said
    finally:
        change(stack, task_id, '{"a": 1, "b": 2}')
    assert search.text(said) == set()


def change(stack: Stack, task_id: str, parameters: str) -> None:
    """Write other parameters into the row of a job."""
    with closing(sqlite3.connect(stack.db / "backend.db", timeout=10)) as connection, connection:
        connection.execute("UPDATE job SET params = ? WHERE id = ?", (parameters, task_id))


def test_no_secret_is_on_the_pages_of_the_tools(stack: Stack, search: Search, tools: dict[str, str]) -> None:
    worker = f"worker@{stack.celery}"
    pages = {
        "flower": ["", "workers?refresh=1", f"worker/{worker}", "broker", "nothing"],
        "prometheus": ["api/v1/status/config", "api/v1/status/flags", "api/v1/targets", "nothing"],
        "rabbitmq_ui": [
            "",
            *(f"api/{name}" for name in ("overview", "connections", "definitions", "queues", "nothing")),
        ],
    }
    for tool, paths in pages.items():
        with httpx.Client(base_url=stack.url, auth=(USER, tools[tool]), follow_redirects=True, timeout=30) as visitor:
            answers = [visitor.get(TOOLS[tool] + path) for path in paths]
        assert answers[0].status_code == 200
        found = search.text(b"\n".join(map(leaks.whole, answers)))
        # RabbitMQ's page is to send the password that its visitor has just sent, see rabbitmq_ui/nginx.conf.
        assert found == ({f"password of {tool}"} if tool == "rabbitmq_ui" else set()), tool


@pytest.mark.timeout(600)
def test_no_secret_is_on_a_command_line_while_scripts_run(stack: Stack) -> None:
    before = leaks.secrets_in(stack.secrets)
    with Watch(stack) as watch:
        stack.run("ops/rotate_secrets.sh", "broker", "tools", timeout=BUILD_TIMEOUT)
        stack.run("./build.sh", timeout=BUILD_TIMEOUT)
    assert b"rotate_secrets.sh\0broker" in watch.text
    assert b"learn_definitions" in watch.text
    found = Search({**before, **{f"new {name}": text for name, text in leaks.secrets_in(stack.secrets).items()}})
    assert found.text(watch.text) == set()


# --- what is planted is found -----------------------------------------------------------------------------------------


@pytest.fixture
def planted(stack: Stack, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Leave a secret of its own in each place; return them."""
    made = {place: secrets.token_urlsafe(24) for place in (*PLACES, "environment", "layers", "backup", "exec")}
    image, container = f"{stack.prefix}_planted", f"{stack.prefix}_planted_container"
    (tmp_path / "file").write_text(base64.b64encode(f"user:{made['layers']}".encode()).decode())
    (tmp_path / "Dockerfile").write_text(
        f"FROM warren_base:trixie\nCOPY file /\nLABEL planted={made['images']}\n"
        'CMD ["bash", "-c", "echo $0; sleep 600; true"]\n'
    )
    stack.docker("build", "--tag", image, str(tmp_path))
    script = "echo $(printf '%s' \"$SAID\" | base64 --wrap 0); sleep 600; true"
    labels = [f"--label=warren.stack={stack.prefix}", f"--label=planted={made['containers']}"]
    exported = stack.db / "exports" / f"{made['backup']}.csv"
    try:
        stack.docker(
            *("run", "--detach", "--init", "--name", container, *labels),
            *(f"--env=SECRET={made['environment']}", f"--env=SAID={made['logs']}"),
            *(image, "bash", "-c", script, made["processes"]),
        )
        wait_until(lambda: stack.logs(container), 10, "it has said it")
        stack.wait_state(stack.submit("text", text=made["ledger"]), "SUCCESS")
        exported.touch()
        yield made
    finally:
        exported.unlink(missing_ok=True)
        stack.docker("rm", "--force", container, check=False)
        stack.docker("rmi", image, check=False)


def test_what_is_planted_is_found(stack: Stack, planted: dict[str, str], tmp_path: Path) -> None:
    searching = Search(planted)
    # The image's metrics are nobody's to write to: what is told there has no label with a value from outside.
    for place in PLACES.keys() - {"metrics"}:
        assert place in searching.text(PLACES[place](stack)), place
    assert {"environment", "processes"} <= searching.text(leaks.of_processes(stack))
    assert {"images", "layers"} == searching.output("docker", "save", *leaks.images(stack))
    assert "backup" in searching.text(leaks.of_backup(stack, tmp_path / "backups"))


def test_what_is_planted_on_a_command_line_is_found(stack: Stack) -> None:
    seen, told = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    with Watch(stack) as watch:
        stack.docker("exec", stack.flask, "true", told)
        run(["bash", "-c", "sleep 1; true", seen])
    assert "seen" in Search({"seen": seen}).text(b"\n".join(watch.seen))
    # Over at once, but Docker tells of it.
    assert "told" in Search({"told": told}).text(watch.told)
