"""The users that put the stack under load: many who only submit jobs, and a few who wait until their job has ended."""

import time

from locust import FastHttpUser, between, constant_pacing, task

END_STATES = ("SUCCESS", "FAILURE", "REVOKED")


class JobUser(FastHttpUser):
    """A user who can submit a heavy job: the base of both kinds of users."""

    abstract = True

    def on_start(self) -> None:
        """Remove a slash at the end of the host, because every path here starts with one."""
        self.client.base_url = self.client.base_url.rstrip("/")

    def submit_heavy(self) -> str | None:
        """Submit a job and return its id, or None if it was not accepted."""
        return self.expect(202, "task_id", "/flask/heavy")

    def expect(self, code: int, field: str, url: str, name: str | None = None) -> str | None:
        """Return a field of the JSON answer to a GET; another code, or no such field, counts as a failure."""
        with self.client.get(url, name=name, catch_response=True) as response:
            try:
                value = response.json()[field]
            except (LookupError, TypeError, ValueError):
                value = None
            if response.status_code == code and value:
                return str(value)
            if response.status_code:  # without an answer there is no code, and Locust itself reports the error
                response.failure(f"{response.status_code} instead of {code} with {field}: {response.text}")
            return None


class SwarmUser(JobUser):
    """Submits one job per second and does not look at it again. Many such users make the queue grow."""

    weight = 4
    wait_time = constant_pacing(1)

    @task
    def submit(self) -> None:
        """Submit a job."""
        self.submit_heavy()


class FollowingUser(JobUser):
    """Submits a job, asks for its status until it has ended, and reports the time it took as `JOB heavy`."""

    weight = 1
    wait_time = between(1, 3)

    @task
    def submit_and_follow(self) -> None:
        """Submit a job and wait until it has ended."""
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
