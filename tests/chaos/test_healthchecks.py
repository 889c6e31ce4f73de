"""The healthchecks tell the truth: a container that does no work is not healthy, even if its process runs."""

from tests.support.stack import Stack, misbehaving_worker, wait_until


def test_a_worker_whose_pool_respawns_for_ever_is_unhealthy_until_it_works_again(stack: Stack) -> None:
    with misbehaving_worker(stack, "heavy,export,arithmetic") as worker:
        kill_the_pool = "touch /tmp/die_young; kill -9 $(</proc/1/task/1/children)"
        stack.docker("exec", worker, "bash", "-c", kill_the_pool)
        wait_until(lambda: stack.health(worker) == "unhealthy", 60, "the worker is unhealthy")
        assert stack.inspect(worker)["State"]["Running"]

        stack.docker("exec", worker, "rm", "/tmp/die_young")
        task_id = stack.submit("add", a=1, b=2)
        stack.wait_state(task_id, "SUCCESS", timeout=60)
        wait_until(lambda: stack.health(worker) == "healthy", 60, "the worker is healthy")
