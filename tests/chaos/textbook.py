"""The textbook stack of bench/textbook, driven like Warren."""

from pathlib import Path

from tests.stack.support import BUILD_TIMEOUT, Stack

#: The kinds of jobs that it has, and how many of a hundred are of each.
TEXTBOOK_MIX = {"add": 40, "text": 27, "heavy": 25, "divide": 3, "email_sending": 5}
#: The faults that lose jobs there; the first, which does so at whatever moment it strikes, is in the reduced set.
LOSING = ["rabbitmq_wiped", "worker_killed", "all_killed"]


class Textbook(Stack):
    """A stack with the same names of containers, and nothing that looks after itself but Docker's restart policy."""

    def __init__(self, prefix: str, folder: Path) -> None:
        super().__init__(prefix, folder)
        self.env["DB_DIR"] = f"{prefix}_db"  # a volume: these containers run as root

    def build(self) -> None:
        """Build and start it, in place of what a killed run may have left."""
        self.clear()
        self.run("bench/textbook/build.sh", timeout=BUILD_TIMEOUT)

    def health(self, container: str) -> str:
        """Return `healthy` for what runs: there are no healthchecks."""
        state = self.inspect(container)["State"]
        return "healthy" if state["Running"] else str(state["Status"])
