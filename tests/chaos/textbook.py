"""The textbook stack in bench/textbook, with the same interface as Warren's stack."""

from pathlib import Path
from typing import Any

from tests.support.stack import BUILD_TIMEOUT, Stack

#: How many jobs in a hundred are of each kind; the textbook stack has only these kinds.
TEXTBOOK_MIX = {"add": 40, "text": 27, "heavy": 25, "divide": 3, "email_sending": 5}
#: The faults that lose jobs there. The first is in the reduced set, because it loses jobs at any moment.
LOSING = ["rabbitmq_wiped", "worker_killed", "all_killed"]


class Textbook(Stack):
    """A stack whose containers have the same names as Warren's. Only Docker's restart policy brings them back."""

    def __init__(self, prefix: str, folder: Path, **options: Any) -> None:
        super().__init__(prefix, folder, **options)
        self.env["DB_DIR"] = f"{prefix}_db"  # a volume, because these containers run as root

    def build(self) -> None:
        """Remove what a killed run may have left, then build and start the stack."""
        self.clear()
        self.run("bench/textbook/build.sh", timeout=BUILD_TIMEOUT)

    def is_healthy(self, container: str, patience: float = 0) -> bool:
        """Tell whether the container runs, because it has no healthcheck."""
        return bool(self.inspect(container)["State"]["Running"])
