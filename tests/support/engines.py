"""Several Docker engines on one machine, for tests of several machines.

Each engine has namespaces of its own for network, processes, mounts and the host's name, so that it is much like a
machine: it has an address in a small network with the others, and it dies at once with all that runs on it. It cannot
reach anything outside. That needs root and Linux.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.stack import run, wait_until

#: What it takes.
PROGRAMS = ("ip", "nsenter", "unshare", "dockerd", "docker-init")


def missing() -> str:
    """Return what this machine lacks for engines of their own; empty if they can be made."""
    if os.geteuid() != 0:
        return "root"
    return ", ".join(program for program in PROGRAMS if not shutil.which(program))


@dataclass
class Machine:
    """An engine that stands for a machine."""

    #: The host's name, as the engine has it, and the name of its network namespace.
    name: str
    address: str
    #: Where the engine keeps everything. Not in /tmp, for each machine has a /tmp of its own.
    folder: Path
    #: The other end of its network cable, in the namespace ``lan``.
    port: str
    lan: str
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def env(self) -> dict[str, str]:
        """What tells `docker`, and the project's scripts, that this engine is meant."""
        return {"DOCKER_HOST": f"unix://{self.folder}/docker.sock"}

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command has to begin with to run on this machine: with its name, network, processes and /tmp."""
        return ("nsenter", f"--target={self._first}", "--uts", "--net", "--mount", "--pid")

    def docker(self, *arguments: str, timeout: float = 60) -> str:
        """Run `docker` with this engine, and return what it printed."""
        return run(["docker", *arguments], env=self.env, timeout=timeout).stdout.strip()

    def start(self) -> None:
        """Start the machine, for the first time or again, and wait until its engine answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        run(["ip", "-n", self.lan, "link", "set", self.port, "up"])
        shutil.rmtree(self.folder / "exec", ignore_errors=True)  # as a reboot does
        (self.folder / "pid").unlink(missing_ok=True)
        apart = ("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        engine = (
            f"dockerd --host unix://{self.folder}/docker.sock --pidfile {self.folder}/pid"
            f" --data-root {self.folder}/data --exec-root {self.folder}/exec"
        )
        command = f"hostname {self.name} && mount -t tmpfs tmpfs /tmp && exec docker-init -- {engine}"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.name}", *apart, "sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self.docker("version"), 60, f"the engine of {self.name} answers")

    def die(self) -> None:
        """Lose the network first, so that nobody hears that connections end; then everything at once."""
        run(["ip", "-n", self.lan, "link", "set", self.port, "down"])
        if self._process is not None and self._process.poll() is None:
            os.kill(self._first, signal.SIGKILL)  # the kernel kills all others with it
            self._process.wait()

    @property
    def _first(self) -> int:
        """The first of its processes, as this machine numbers them."""
        assert self._process is not None
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@contextmanager
def machines(folder: Path, number: int) -> Iterator[list[Machine]]:
    """Yield so many machines in a network that this one is in, too; at the end nothing is left of them."""
    # Of the addresses that are kept for tests of networks. The process's number keeps two runs apart.
    mark = os.getpid() % 65536
    network = f"198.{18 + mark % 2}.{mark // 2 % 256}"
    lan = f"lan-{mark:x}"
    made = [Machine(f"m{i}-{mark:x}", f"{network}.{i}", folder / str(i), f"port{i}", lan) for i in range(1, number + 1)]
    try:
        run(["ip", "netns", "add", lan])
        ip(lan, "link add bridge type bridge")
        ip(lan, "link set bridge up")
        _plug(lan, "port0", None, f"{network}.254")
        for machine in made:
            run(["ip", "netns", "add", machine.name])
            ip(machine.name, "link set lo up")
            _plug(lan, machine.port, machine.name, machine.address)
            ip(machine.name, f"route add default via {network}.253")  # nobody is there, but engines want a route
            machine.start()
        yield made
    finally:
        for machine in made:
            machine.die()
            run(["ip", "netns", "delete", machine.name], check=False)
        run(["ip", "netns", "delete", lan], check=False)
        shutil.rmtree(folder)


def _plug(lan: str, port: str, namespace: str | None, address: str) -> None:
    """Join a namespace, or this machine, to the bridge."""
    device = "eth0" if namespace else lan
    home = ["-n", namespace] if namespace else []
    run(["ip", *home, "link", "add", device, "type", "veth", "peer", "name", port, "netns", lan])
    ip(lan, f"link set {port} master bridge")
    ip(lan, f"link set {port} up")
    run(["ip", *home, "address", "add", f"{address}/24", "dev", device])
    run(["ip", *home, "link", "set", device, "up"])


def ip(namespace: str, command: str) -> None:
    """Run `ip` in a network namespace."""
    run(["ip", "-n", namespace, *command.split()])
