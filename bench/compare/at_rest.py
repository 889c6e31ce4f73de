"""What a stack needs while nothing happens, and of what it is made."""

import time

from bench.compare.cgroups import memory_bytes
from bench.compare.contestants import Contestant, docker
from bench.compare.row import Row, Size


def memory(contestant: Contestant, size: Size) -> Row:
    """Memory of each container while nothing happens."""
    time.sleep(3)
    return {"bytes": memory_bytes(contestant)}


def images(contestant: Contestant, size: Size) -> Row:
    """Size of the image of each container."""
    roles = contestant.roles()
    ids = docker("inspect", "--format", "{{.Image}}", *roles.values()).split()
    sizes = docker("image", "inspect", "--format", "{{.Size}}", *ids).split()
    return {"bytes": {role: int(size) for role, size in zip(roles, sizes, strict=True)}}


_PACKAGES = "flask gunicorn celery rq dramatiq huey fastapi uvicorn taskiq taskiq-aio-pika"
_VERSIONS = f"""
from importlib.metadata import distributions
names = "{_PACKAGES}".split()
print(*(f"{{one.name}}={{one.version}}" for one in distributions() if one.name.lower() in names))
"""
_SERVERS = {"nginx": "nginx", "rabbitmq": "rabbitmq-server", "redis": "redis-server"}


def versions(contestant: Contestant, size: Size) -> Row:
    """Versions of the packages and servers that matter."""
    found = docker("exec", contestant.container("flask"), "python", "-c", _VERSIONS).split()
    for role, package in _SERVERS.items():
        if role in contestant.roles():
            query = ("dpkg-query", "--show", "--showformat", "${Package}=${Version}", package)
            found.append(docker("exec", contestant.container(role), *query))
    return {"versions": dict(item.split("=", 1) for item in sorted(found, key=str.lower))}
