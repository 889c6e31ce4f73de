"""The load generator against the stack: no request fails, and every job that was submitted succeeds."""

import csv
from pathlib import Path

from tests.support.stack import Stack, run, wait_until

SWARM = ["--headless", "-u", "5", "-r", "5", "-t", "5s", "--only-summary"]


def test_locust_swarms_the_stack_without_a_failure(stack: Stack, tmp_path: Path) -> None:
    [(before,)] = stack.ledger("SELECT coalesce(max(seq), 0) FROM job")
    host = f"{stack.url}/"  # with a slash, as in the README
    run(
        ["locust/locust", "--host", host, *SWARM, "--csv", str(tmp_path / "swarm")], timeout=110
    )  # raises unless exit 0

    with (tmp_path / "swarm_stats.csv").open(newline="") as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    submitted = int(rows["/flask/heavy"]["Request Count"])
    assert submitted >= 10
    assert int(rows["/flask/status?task_id="]["Request Count"]) > 0
    assert {row["Failure Count"] for row in rows.values()} == {"0"}

    states = wait_until(
        lambda: stack.ledger("SELECT state, ended_at FROM job WHERE seq > ? AND type = 'heavy'", before),
        90,
        "the jobs of the swarm have ended",
        lambda jobs: all(ended_at for _, ended_at in jobs),
    )
    assert len(states) >= submitted
    assert {state for state, _ in states} == {"SUCCESS"}
