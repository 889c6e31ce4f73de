"""Who uses the stack when it is under load: a swarm that only submits jobs, and a few users who wait for theirs."""

import time

from locust import FastHttpUser, between, constant_pacing, task

END_STATES = ("SUCCESS", "FAILURE", "REVOKED")


class JobUser(FastHttpUser):
    """What both kinds of users do: submit a heavy job."""

    abstract = True

    def on_start(self) -> None:
        """Take a host with a slash at its end, too: every path here begins with one."""
        self.client.base_url = self.client.base_url.rstrip("/")

    def submit_heavy(self) -> str | None:
        """Submit a job and return its id, or None when it was not accepted."""
        return self.expect(202, "task_id", "/flask/heavy")

    def expect(self, code: int, field: str, url: str, name: str | None = None) -> str | None:
        """Return a field of the JSON answer to a GET; another code or no such field counts as a failure."""
        with self.client.get(url, name=name, catch_response=True) as response:
            try:
                value = response.json()[field]
            except (LookupError, TypeError, ValueError):
                value = None
            if response.status_code == code and value:
                return str(value)
            if response.status_code:  # else nothing answered, and Locust itself reports why
                response.failure(f"{response.status_code} instead of {code} with {field}: {response.text}")
            return None


class SwarmUser(JobUser):
    """Submits one job a second and never looks back; many of them make the queue grow."""

    weight = 4
    wait_time = constant_pacing(1)

    @task
    def submit(self) -> None:
        """Submit a job."""
        self.submit_heavy()


class FollowingUser(JobUser):
    """Submits a job, asks for its status until it has ended, and reports how long that took as `JOB heavy`."""

    weight = 1
    wait_time = between(1, 3)

    @task
    def submit_and_follow(self) -> None:
        """Submit a job and see it end."""
        begun = time.monotonic()
        task_id = self.submit_heavy()
        status = None
        while task_id and status not in END_STATES:
            time.sleep(0.5)
            status = self.expect(200, "status", f"/flask/status?task_id={task_id}", name="/flask/status?task_id=")
        if status:
            self.environment.events.request.fire(
                request_type="JOB",
                name="heavy",
                response_time=(time.monotonic() - begun) * 1000,
                response_length=0,
                exception=None if status == "SUCCESS" else RuntimeError(f"a job ended as {status}"),
                context=self.context(),
            )
