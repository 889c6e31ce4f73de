"""The file that a container's healthcheck looks at: fresh while the process makes progress."""

from pathlib import Path

#: ``healthcheck`` in the worker's image compares its age with a limit.
HEARTBEAT_FILE = Path("/tmp/healthy")


def beat() -> None:
    """Note that progress was made just now."""
    HEARTBEAT_FILE.touch()
