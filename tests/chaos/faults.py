"""The faults: each is a small function that strikes once. Its decorator says what the strike may cost.

A lasting fault lasts `scene.seconds` seconds. It is over when its function returns. Afterwards nobody helps the stack.
"""

import contextlib
import fcntl
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.chaos.fault import FAULTS, Scene, fault
from tests.support.stack import misbehaving_worker, run, send, wait_until

__all__ = ["FAULTS"]  # importing this module fills it

#: Why most faults are not in the reduced run.
SLOW = "it takes long, or is similar to a fault of the reduced run"
ELSEWHERE = "tests/stack does the same with fewer kinds of jobs"


def running(scene: Scene, container: str) -> None:
    """Wait until a container runs, because an earlier strike may have stopped it."""
    wait_until(lambda: scene.stack.inspect(container)["State"]["Running"], 60, f"{container} runs")


# --- killed ----------------------------------------------------------------------------------------------------------


@fault("`kill -9` of a pool process of the worker")
def pool_process_killed(scene: Scene) -> None:
    running(scene, scene.stack.celery)
    children = ("exec", scene.stack.celery, "bash", "-c", "cat /proc/1/task/1/children")
    pids = wait_until(lambda: scene.stack.docker(*children).split(), 30, "the pool is there")
    scene.stack.docker("exec", scene.stack.celery, "bash", "-c", f"kill -9 {scene.dice.choice(pids)}", check=False)


@fault("`kill -9` of the worker container")
def worker_killed(scene: Scene) -> None:
    running(scene, scene.stack.celery)
    scene.stack.kill(scene.stack.celery)


@fault("`docker stop` of the worker container, and `docker start`", full_only=SLOW)
def worker_stopped(scene: Scene) -> None:
    scene.stack.docker("stop", scene.stack.celery)
    scene.stack.docker("start", scene.stack.celery)


@fault("the worker container out of memory: the kernel kills its main process", full_only=SLOW)
def worker_out_of_memory(scene: Scene) -> None:
    restarts = scene.stack.inspect(scene.stack.celery)["RestartCount"]
    running(scene, scene.stack.celery)
    # The kernel kills the process that takes the most memory, which is the eater. A high oom_score_adj makes it choose
    # the main process instead.
    eater = "blocks = []\nwhile True: blocks.append(b'x' * 10_000_000)"
    scene.stack.docker(
        *("exec", scene.stack.celery, "bash", "-c", f'echo 1000 >/proc/1/oom_score_adj; exec python -c "{eater}"'),
        check=False,
    )
    wait_until(
        lambda: scene.stack.inspect(scene.stack.celery)["RestartCount"] > restarts, 30, "the kernel killed the worker"
    )


@fault("`kill -9` of the web container", breaks_connections=True)
def web_killed(scene: Scene) -> None:
    running(scene, scene.stack.flask)
    scene.stack.kill(scene.stack.flask)


@fault("`kill -9` of the container that holds the port", full_only=SLOW, breaks_connections=True)
def port_killed(scene: Scene) -> None:
    running(scene, scene.stack.port_container)
    scene.stack.kill(scene.stack.port_container)


@fault("`kill -9` of the beat container", full_only=SLOW)
def beat_killed(scene: Scene) -> None:
    running(scene, scene.stack.beat)
    scene.stack.kill(scene.stack.beat)


@fault("`kill -9` of RabbitMQ", full_only=SLOW)
def rabbitmq_killed(scene: Scene) -> None:
    running(scene, scene.stack.rabbitmq)
    scene.stack.kill(scene.stack.rabbitmq)


@fault("RabbitMQ's data wiped, and `kill -9`", strikes=2)
def rabbitmq_wiped(scene: Scene) -> None:
    scene.stack.wait_healthy(scene.stack.rabbitmq, timeout=90)
    scene.stack.docker("exec", scene.stack.rabbitmq, "bash", "-c", "rm -rf /var/lib/rabbitmq/mnesia")
    scene.stack.kill(scene.stack.rabbitmq)


@fault("`kill -9` of the main processes of all containers at once", breaks_connections=True)
def all_killed(scene: Scene) -> None:
    containers = scene.stack.containers()
    for container in containers:
        running(scene, container)
    scene.stack.kill(*containers)


@fault(
    "the Docker engine restarted, and with it all containers",
    strikes=2,
    full_only=SLOW,
    breaks_connections=True,
    missing=lambda: (
        ""
        if os.environ.get("WARREN_RESTART_ENGINE") == "1"
        else "it would stop all other containers on the machine; WARREN_RESTART_ENGINE=1 allows it"
    ),
)
def engine_restarted(scene: Scene) -> None:
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "restart", "docker"], timeout=120)
        return
    pid_file = Path("/var/run/docker.pid")
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), 60, "the engine has ended")
    run(["bash", "-c", "source settings.sh && source ops/lib.sh && source ops/install.sh && start_docker"], timeout=90)


# --- paused ----------------------------------------------------------------------------------------------------------


@contextmanager
def paused(scene: Scene, container: str) -> Iterator[None]:
    # The first try may fail, if Docker is just starting a healthcheck in the container.
    wait_until(lambda: scene.stack.docker("pause", container), 30, f"{container} can be paused")
    try:
        yield
    finally:
        scene.stack.docker("unpause", container)


@fault("RabbitMQ paused", lasts=30, strikes=2, full_only=SLOW)
def rabbitmq_paused(scene: Scene) -> None:
    with paused(scene, scene.stack.rabbitmq):
        scene.hold(lambda health: health["rabbitmq"] != "ok", within=6)


@fault("the worker paused", lasts=30, strikes=2, full_only=SLOW)
def worker_paused(scene: Scene) -> None:
    with paused(scene, scene.stack.celery):
        scene.hold(lambda health: health["workers"] == 0, within=15)


@fault("beat paused", lasts=30, strikes=2, full_only=SLOW)
def beat_paused(scene: Scene) -> None:
    with paused(scene, scene.stack.beat):
        scene.hold()


# After the pause, Gunicorn thinks that its processes hung, and replaces them. That may break connections.
@fault("the web container paused", lasts=30, briefly=8, strikes=2, breaks_connections=True)
def web_paused(scene: Scene) -> None:
    with paused(scene, scene.stack.flask):
        scene.hold()


# --- cut off ---------------------------------------------------------------------------------------------------------


@contextmanager
def cut(scene: Scene, network: str, container: str) -> Iterator[None]:
    scene.stack.docker("network", "disconnect", network, container)
    try:
        yield
    finally:
        scene.stack.docker("network", "connect", network, container)


@fault("network cut between Nginx and Flask", lasts=15, strikes=2, full_only=SLOW)
def cut_nginx_from_flask(scene: Scene) -> None:
    with cut(scene, scene.mail.network, scene.stack.flask):
        scene.hold()


@fault("network cut between Flask and RabbitMQ", lasts=15, strikes=2, full_only=SLOW)
def cut_flask_from_rabbitmq(scene: Scene) -> None:
    with cut(scene, scene.stack.network, scene.stack.flask):
        scene.hold(lambda health: health["rabbitmq"] != "ok", within=6)


@fault("network cut between worker and RabbitMQ", lasts=30, briefly=5, strikes=2)
def cut_worker_from_rabbitmq(scene: Scene) -> None:
    with cut(scene, scene.stack.network, scene.stack.celery):
        scene.hold()


@fault("network cut between beat and RabbitMQ", lasts=15, strikes=2, full_only=SLOW)
def cut_beat_from_rabbitmq(scene: Scene) -> None:
    with cut(scene, scene.stack.network, scene.stack.beat):
        scene.hold()


@fault(
    "network cut between worker and mail server",
    lasts=15,
    strikes=2,
    full_only=SLOW,
    may_fail=frozenset({"email_sending"}),
)
def cut_worker_from_mail_server(scene: Scene) -> None:
    with cut(scene, scene.mail.network, scene.mail.name):
        scene.hold()


# --- alarms, locks, disk ---------------------------------------------------------------------------------------------


def rabbitmqctl(scene: Scene, command: str) -> None:
    scene.stack.docker("exec", scene.stack.rabbitmq, "bash", "-c", f"rabbitmqctl {command}")


@fault("memory alarm in RabbitMQ", lasts=15, briefly=5, strikes=2)
def memory_alarm(scene: Scene) -> None:
    rabbitmqctl(scene, "set_vm_memory_high_watermark absolute 1")
    try:
        scene.hold()
    finally:
        rabbitmqctl(scene, "set_vm_memory_high_watermark absolute $RABBITMQ_WATERMARK")


@fault("disk alarm in RabbitMQ", lasts=15, strikes=2, full_only=SLOW)
def disk_alarm(scene: Scene) -> None:
    rabbitmqctl(scene, "set_disk_free_limit 1000000GB")
    try:
        scene.hold()
    finally:
        rabbitmqctl(scene, "set_disk_free_limit 500MB")


def ledger_tells(health: dict[str, Any]) -> bool:
    return bool(health["ledger"] != "ok" or health["workers"] == 0)


@fault("the ledger locked by another process (`BEGIN IMMEDIATE`)", lasts=60, briefly=8, strikes=1)
def ledger_locked(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.stack.db / "backend.db", timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        scene.hold(ledger_tells, within=20)
        connection.execute("ROLLBACK")


@fault("the ledger's queue of writers blocked by another process (`flock`)", lasts=60, strikes=1, full_only=SLOW)
def ledger_queue_blocked(scene: Scene) -> None:
    with (scene.stack.db / "backend.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        scene.hold(ledger_tells, within=20)


@fault(
    "the ledger's disk full",
    lasts=30,
    strikes=2,
    full_only="it needs its own stack, on a small disk",
    may_fail=frozenset({"export"}),
    small_disk=True,
    missing=lambda: "" if os.geteuid() == 0 else "only root can mount a small disk",
)
def disk_full(scene: Scene) -> None:
    filler = scene.stack.db / "filler"
    try:
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(2**16))
                file.flush()
        scene.hold(ledger_tells, within=20)
    finally:
        filler.unlink()


# --- schedules and paused queues -------------------------------------------------------------------------------------


@fault("`kill -9` of beat at a slot of a schedule", full_only=SLOW)
def beat_killed_at_a_slot(scene: Scene) -> None:
    http, name = scene.stack.http, f"ticks-{scene.dice.getrandbits(32):08x}"
    # Its jobs are known by their text.
    body = {"name": name, "every": 1, "task_type": "text", "input_params": {"text": name}}
    assert http.post("/flask/schedules", json=body).status_code == 201
    try:
        running(scene, scene.stack.beat)
        slot = datetime.fromisoformat(http.get(f"/flask/schedules/{name}").json()["next_run_at"]).timestamp()
        # Beat looks every half second: so it is just before, at or after the moment in which it makes the job.
        time.sleep(max(0.0, slot - time.time()) + scene.dice.uniform(0, 0.6))
        scene.stack.kill(scene.stack.beat)
        wait_until(lambda: len(slots_of(scene, name)) >= 4, 60, "the schedule goes on")
    finally:
        http.delete(f"/flask/schedules/{name}")
    slots = slots_of(scene, name)
    assert len(slots) == len(set(slots)), f"a slot made more than one job: {slots}"


def slots_of(scene: Scene, text: str) -> list[float]:
    """Return the slots for which a schedule has made jobs with this text."""
    return [slot for (slot,) in scene.stack.ledger("SELECT run_at FROM job WHERE params ->> 'text' = ?", text)]


@fault("a queue paused, and `kill -9` of the worker meanwhile", lasts=15, strikes=2, full_only=SLOW)
def queue_paused(scene: Scene) -> None:
    http = scene.stack.http
    assert http.post("/flask/queues/arithmetic/pause").status_code == 200
    try:
        paused_at = time.time()
        running(scene, scene.stack.celery)
        scene.stack.kill(scene.stack.celery)
        scene.hold()
        started = "SELECT count(*) FROM job WHERE queue = 'arithmetic' AND started_at > ?"
        assert scene.stack.ledger(started, paused_at) == [(0,)]
    finally:
        http.post("/flask/queues/arithmetic/resume")


# --- the rest --------------------------------------------------------------------------------------------------------


@fault("`./build.sh` renews every container", strikes=2, full_only=ELSEWHERE)
def everything_renewed(scene: Scene) -> None:
    # A random size, which very likely differs from the last one: so every container has to be renewed.
    scene.stack.run("./build.sh", LOG_MAX_SIZE=f"{scene.dice.randint(11, 10_000)}m")


@fault("`ops/backup.sh` while jobs come in", full_only=SLOW)
def backup_made(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scene.stack.run("ops/backup.sh", folder)


@fault(
    "the worker's clock, as Python tells it, an hour fast, then an hour slow, then right",
    lasts=15,
    strikes=2,
    full_only=SLOW,
)
def clock_set(scene: Scene) -> None:
    with misbehaving_worker(scene.stack, "heavy,export,arithmetic", concurrency=8) as worker:
        for offset in (3600, -3600, 0):
            scene.stack.docker("exec", worker, "bash", "-c", f"echo {offset} >/tmp/clock")
            scene.hold()


@fault("a poison job, which kills its pool process each time", strikes=2, full_only=SLOW)
def poison_job(scene: Scene) -> None:
    with misbehaving_worker(scene.stack, "heavy,export,arithmetic") as worker:
        # A long timeout, because each run of this job waits behind the jobs of the load.
        job = send(scene.stack, worker, "poison", queue="arithmetic", timeout=300)
        result = scene.stack.wait_state(job, "FAILURE", timeout=300)["result"]
        assert result == "Given up: the worker process died 5 times while running this job."


@fault(
    "`kill -9` of the autoscaler while it adds workers; another one retires them",
    strikes=2,
    full_only=ELSEWHERE,
)
def autoscaler_killed(scene: Scene) -> None:
    def workers() -> int:
        return sum(name.startswith(scene.stack.celery) for name in scene.stack.containers())

    with autoscaler(scene, at_least=3, at_most=3) as script:
        wait_until(workers, 60, "it adds workers", lambda count: count > 1)
        script.kill()
    with autoscaler(scene, at_least=1, at_most=1):
        wait_until(workers, 120, "those that were added have left", lambda count: count == 1)


@contextmanager
def autoscaler(scene: Scene, *, at_least: int, at_most: int) -> Iterator[subprocess.Popen[bytes]]:
    script = subprocess.Popen(
        ["ops/autoscale.sh", "--min", str(at_least), "--max", str(at_most), "--cooldown", "5"],
        cwd=scene.stack.root,
        env=os.environ | scene.stack.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield script
    finally:
        script.terminate()
        script.wait()


AT_ONCE = (pool_process_killed, worker_killed, web_killed, beat_killed, rabbitmq_killed)


@fault("three of the kills above at once, chosen at random", breaks_connections=True)
def three_at_once(scene: Scene) -> None:
    drawn = scene.dice.sample(AT_ONCE, 3)
    with ThreadPoolExecutor(len(drawn)) as pool:
        list(pool.map(lambda strike: strike(scene), drawn))
