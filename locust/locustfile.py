"""The users that Locust knows by default. Only the classic swarm comes without being named."""

from defaults import set_defaults
from users import Mix, Poller, Swarm, Viewer

__all__ = ["Mix", "Poller", "Swarm", "Viewer"]

set_defaults(users=10, spawn_rate=5, run_time=300, classes=("Swarm", "Poller"))
