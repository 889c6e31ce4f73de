#!/usr/bin/env python3
"""The idea of this project in one file: a web server takes a job, a worker runs it, anyone may ask how it goes.

    python3 flask/standalone_app.py --with-worker       # both, in one terminal; or
    python3 flask/standalone_app.py                     # the web server in one and
    ./start_local_celery.sh                             # the worker in another

Then open http://localhost:8080/flask/heavy. No server has to be installed: the queue is a table in a local file.
With BROKER_URL=amqp://guest:guest@localhost// in the environment of both it is RabbitMQ. What a real system adds to
this (a ledger that loses nothing, limits, more kinds of jobs) is in the folders webapp/, ../jobs/ and ../celery/.
"""
# ruff: noqa: E402  # the imports of libraries come after the environment that has them

import argparse
import contextlib
import fcntl
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# ---------------------------------------------------------------------------------------- the Python environment
# Started by any Python, it goes on in an environment of its own that has Flask and Celery, made on first use.
if __name__ == "__main__" and Path(sys.prefix).resolve() != (ROOT / ".venvs/standalone").resolve():
    make_env = [f"{ROOT}/ops/python_env.sh", "standalone", f"{ROOT}/flask/requirements.txt"]
    made = subprocess.run(make_env, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:  # it has said why
        sys.exit(made.returncode)
    os.execv(made.stdout.strip(), [made.stdout.strip(), *sys.argv])

import kombu.transport.sqlalchemy
from celery import Celery
from celery.signals import worker_init
from flask import Flask, Response, abort, json, request, url_for
from kombu.exceptions import OperationalError
from sqlalchemy import NullPool
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server

# -------------------------------------------------------------------------------------------- settings, Celery, Flask
DATA = Path(os.environ.get("STANDALONE_DIR", ROOT / "db/standalone")).resolve()
DATABASE = DATA / "standalone.db"  # the results, and the queue too when no other broker is named

# Of the transports that kombu has for local files, this one lost nothing between several processes; "filesystem://"
# lets a reader take a message that is only half written.
BROKER_URL = os.environ.get("BROKER_URL") or f"sqla+sqlite:///{DATABASE}"
EMBEDDED = BROKER_URL.startswith("sqla+sqlite:")

# SQLite has one writer at a time: the others wait for it up to 30 s instead of failing with "database is locked".
# NullPool opens the file anew for each use, so the worker's processes share no connection.
SQLITE = {"connect_args": {"timeout": 30}, "poolclass": NullPool}
kombu.transport.sqlalchemy.Transport.polling_interval = 0.2  # seconds between two looks at an empty queue

celery = Celery("standalone", broker=BROKER_URL, backend=f"db+sqlite:///{DATABASE}")
celery.conf.update(
    broker_transport_options=SQLITE if EMBEDDED else {},
    broker_connection_retry_on_startup=True,
    database_engine_options=SQLITE,
    task_default_queue="standalone",
    task_track_started=True,
    task_acks_late=True,  # a message is done with when its job is, so a worker that stops gives the rest back
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=int(os.environ.get("CELERY_CONCURRENCY", "4")),
)
app = Flask(__name__)


# ------------------------------------------------------------------------------------------------------------ the job
@celery.task(name="heavy")
def heavy() -> str:
    """Take a while: the demonstration job."""
    seconds = random.randint(1, 3)
    time.sleep(seconds)
    return f"This task took {seconds} seconds."


# --------------------------------------------------------------------------------------------------------- the routes
@app.get("/")
def home() -> str:
    """Lead a browser on."""
    return (
        '<h1>Warren in one file</h1><p><a href="/flask/heavy">Submit a heavy job</a> | <a href="/flask">routes</a></p>'
    )


@app.get("/flask")
def hello() -> dict[str, str]:
    """Say hello, and what there is."""
    return {
        "message": "Hello from flask.",
        "heavy": url_for("submit_heavy"),
        "status": url_for("status") + "?task_id={ID}",
        "result": "/flask/result/{ID}",
    }


@app.route("/flask/heavy", methods=["GET", "POST"])  # GET too: people open it in a browser
def submit_heavy() -> tuple[dict[str, str], int, dict[str, str]]:
    """Take a job and answer at once, with its id and where to ask for it."""
    task_id = str(uuid.uuid4())
    # Celery cannot tell a waiting job from one that never was, so the job gets its row before the worker writes to it.
    celery.backend.store_result(task_id, None, "PENDING")
    try:
        heavy.apply_async(task_id=task_id)
    except OperationalError as error:
        celery.backend.forget(task_id)
        abort(503, f"The broker takes no jobs now: {error}")
    return {"task_id": task_id}, 202, {"Location": url_for("status", task_id=task_id)}


@app.get("/flask/status")
def status() -> dict[str, object]:
    """Tell how a job goes."""
    task_id = request.args.get("task_id") or abort(400, "The parameter task_id is missing: /flask/status?task_id=ID")
    return {"task_id": task_id, **result(task_id)}


@app.get("/flask/result/<task_id>")
def result(task_id: str) -> dict[str, object]:
    """Tell what came of a job."""
    if not celery.backend.task_result_exists(task_id):
        abort(404, f"There is no job {task_id}.")
    row = celery.backend.get_task_meta(task_id)
    return {
        "status": row["status"],
        "result": str(row["result"]) if isinstance(row["result"], Exception) else row["result"],
    }


@app.errorhandler(HTTPException)
def problem(error: HTTPException) -> Response:
    """Answer an error in JSON too (RFC 9457)."""
    body = {"status": error.code, "title": error.name, "detail": error.description}
    return Response(json.dumps(body), error.code, content_type="application/problem+json")


# ------------------------------------------------------------------------------------------------------ the processes
def make_tables() -> None:
    """Make the data file, by one process at a time: two that make the same tables get in each other's way."""
    DATA.mkdir(parents=True, exist_ok=True)
    with open(DATA / "tables.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        celery.backend.ResultSession().close()
        if EMBEDDED:
            with celery.connection_for_write() as connection:
                celery.amqp.queues["standalone"].bind(connection.default_channel).declare()


@worker_init.connect
def start_worker(**_: object) -> None:
    """Prepare the data file before Celery looks at it."""
    make_tables()
    workers = os.open(DATA / "workers.lock", os.O_RDWR | os.O_CREAT)  # stays open, and so locked, as long as this lives
    with contextlib.suppress(BlockingIOError):  # another worker lives
        fcntl.lockf(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if EMBEDDED:
            give_back_messages()
    fcntl.lockf(workers, fcntl.LOCK_SH)


def give_back_messages() -> None:
    """Put what a killed worker had in its hands back into the queue: kombu hides a message that is taken, no more."""
    with contextlib.closing(sqlite3.connect(DATABASE, timeout=30)) as database, database:
        # A message whose job has ended goes, and so does one that its worker put back (as a new row) when it stopped.
        database.execute("""
            DELETE FROM kombu_message AS old WHERE NOT visible AND (
                EXISTS (SELECT 1 FROM celery_taskmeta WHERE task_id = json_extract(old.payload, '$.headers.id')
                    AND status IN ('SUCCESS', 'FAILURE', 'REVOKED'))
                OR EXISTS (SELECT 1 FROM kombu_message AS new WHERE new.id > old.id
                    AND json_extract(new.payload, '$.headers.id') = json_extract(old.payload, '$.headers.id')))""")
        database.execute("UPDATE kombu_message SET visible = 1, timestamp = NULL WHERE NOT visible")


def run_worker() -> int:
    """Run the worker until it ends or this process is told to; either way nothing of it is left."""
    # In a session of its own, where the Ctrl-C of a terminal does not reach it: it is stopped here, once.
    worker = subprocess.Popen([ROOT / "start_local_celery.sh"], start_new_session=True)
    try:
        return worker.wait()
    finally:
        worker.terminate()  # it ends the jobs it has begun
        with contextlib.suppress(KeyboardInterrupt):  # unless there is a second Ctrl-C
            worker.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)


def main() -> int:
    """Run the web server, and with --with-worker the worker, until told to stop."""
    parser = argparse.ArgumentParser(description="Flask and Celery in one file.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (default: %(default)s)")
    parser.add_argument("--with-worker", action="store_true", help="run the worker too, in the same terminal")
    options = parser.parse_args()

    for name in (signal.SIGTERM, signal.SIGHUP):  # both end it as Ctrl-C does
        signal.signal(name, signal.default_int_handler)
    try:
        listener = socket.create_server((options.host, options.port))
    except (OSError, OverflowError) as error:
        problem = f"error: cannot listen on {options.host}:{options.port}: {error}"
        sys.exit(f"{problem}\n\nChoose another port with --port, or stop what uses this one.")
    try:
        make_tables()
    except OSError as error:
        sys.exit(f"error: cannot keep data: {error}\n\nName another folder: STANDALONE_DIR=/path/to/folder")
    server = make_server(options.host, options.port, app, threaded=True, fd=listener.fileno())
    print(f"Submit a job: http://localhost:{options.port}/flask/heavy (Ctrl-C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        if options.with_worker:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            return run_worker()
        print("Its worker, in a second terminal: ./start_local_celery.sh", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
