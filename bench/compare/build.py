"""How long it takes to build and start a stack when nothing but the base image is there."""

import os
import subprocess
import time

from bench.compare.contestants import Contestant, docker
from bench.compare.row import Row, Size


def build(contestant: Contestant, size: Size) -> Row:
    """Build from a base image that no layer was built on yet: the same one, with another label."""
    base, name = os.environ.get("BASE_IMAGE") or "warren_base:trixie", f"{contestant.prefix}_cold_base"
    text = f"FROM {base}\nLABEL warren.cold={time.time()}\n"
    subprocess.run(["docker", "build", "--tag", name, "-"], input=text, text=True, capture_output=True, check=True)
    try:
        seconds = contestant.up(BASE_IMAGE=name)
        images = docker("inspect", "--format", "{{.Image}}", *contestant.roles().values()).split()
    finally:
        contestant.down()
    docker("rmi", "--force", *set(images), name)
    return {"seconds": seconds}
