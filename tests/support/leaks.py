"""Looks for the secrets of a stack in all places where they must not be.

A secret may be written in another way: in Base64, alone or within a longer text such as `user:password`, in hexadecimal
digits, or as a part of an address. So each of these forms is looked for, too.
"""

import base64
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import httpx

from tests.support.stack import Stack, run

#: A line of fewer characters is no secret: all that Warren makes are longer, and a short text may stand anywhere.
SHORTEST = 16

#: Files in a SECRETS_DIR that hold no secret.
NOT_SECRET = (".stack", "notify_mail")

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def secrets_in(folder: Path) -> dict[str, str]:
    """Return the secrets in the files of a SECRETS_DIR, each by a name to tell it by."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in NOT_SECRET:
            name = str(path.relative_to(folder))
            for number, secret in enumerate(_in_file(path.read_text()), start=1):
                found[f"{name}, {number}"] = secret
    return found


def _in_file(text: str) -> Iterator[str]:
    if text.startswith("{"):
        yield from (user["password_hash"] for user in json.loads(text)["users"])
        return
    for line in CERTIFICATE.sub("", text).split():
        if "://" in line:  # what is secret in an address
            parts = urlsplit(line)
            secret = parts.password or parts.query
        else:  # a hash may have a name before it
            secret = line.rpartition(":")[2]
        if len(secret) >= SHORTEST and not secret.startswith("-----"):
            yield secret


def forms(secret: str) -> set[bytes]:
    """Return the ways in which a secret may be written."""
    plain = secret.encode()
    found = {
        plain,
        quote(secret).encode(),
        quote(secret, safe="").encode(),
        plain.hex().encode(),
        plain.hex().upper().encode(),
    }
    # Three bytes are four characters. So it depends on the bytes before it which characters the secret becomes; and the
    # first and the last one belong to its neighbours, too.
    for before, lost in enumerate((0, 2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * before + plain)[lost:]
            found.add(encoded.rstrip(b"=")[:-1] if encoded.endswith(b"=") else encoded)
    return found


class Search:
    """Finds secrets in texts and in what a program writes."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        assert secrets
        self._names = {form: name for name, secret in secrets.items() for form in forms(secret)}

    def text(self, text: bytes) -> set[str]:
        """Return the names of the secrets that stand in a text."""
        return {name for form, name in self._names.items() if form in text}

    def output(self, *command: str) -> set[str]:
        """Return the names of the secrets in what a command writes, however much that is."""
        # The forms come as a file, not as an argument, where everybody could read them.
        reading, writing = os.pipe()
        with (
            os.fdopen(reading, "rb") as patterns,
            subprocess.Popen(command, stdout=subprocess.PIPE) as source,
            subprocess.Popen(
                ["grep", "--text", "--only-matching", "--fixed-strings", f"--file=/dev/fd/{reading}"],
                stdin=source.stdout,
                stdout=subprocess.PIPE,
                pass_fds=[reading],
                env=os.environ | {"LC_ALL": "C"},
            ) as grep,
        ):
            assert source.stdout is not None
            source.stdout.close()  # grep has it
            patterns.close()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(b"\n".join(self._names))
            matches, _ = grep.communicate()
        assert source.returncode == 0, command
        assert grep.returncode in (0, 1)
        return {self._names[match] for match in set(matches.splitlines())}


# --- the places -------------------------------------------------------------------------------------------------------


def of_containers(stack: Stack) -> bytes:
    """Return what `docker inspect` shows of containers, networks and volumes."""
    chosen = f"--filter=label=warren.stack={stack.prefix}"
    networks = stack.docker("network", "ls", "--quiet", chosen).split()
    volumes = stack.docker("volume", "ls", "--quiet", chosen).split()
    return stack.docker("inspect", *stack.containers(), *networks, *volumes).encode()


def of_processes(stack: Stack) -> bytes:
    """Return the command lines and environments of all processes in containers that run."""
    names = stack.docker("ps", "--filter", f"label=warren.stack={stack.prefix}", "--format", "{{.Names}}").split()
    look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true"  # some end meanwhile
    return "\n".join(stack.docker("exec", name, "bash", "-c", look) for name in names).encode()


def of_logs(stack: Stack) -> bytes:
    """Return the logs of all containers."""
    return "\n".join(stack.logs(name) for name in stack.containers()).encode()


def of_ledger(stack: Stack) -> bytes:
    """Return the bytes of the ledger, with its write-ahead log, and of the exported files."""
    return b"\n".join(path.read_bytes() for path in sorted(stack.db.rglob("*")) if path.is_file())


def of_metrics(stack: Stack) -> bytes:
    """Return what Prometheus is told."""
    ask = "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())"
    addresses = (f"{stack.flask}:8000", f"{stack.prefix}_workers:9100", f"{stack.rabbitmq}:15692")
    return b"\n".join(
        stack.docker("exec", stack.flask, "python", "-c", ask, f"http://{address}/metrics").encode()
        for address in addresses
    )


def of_backup(stack: Stack, folder: Path) -> bytes:
    """Return what making a backup prints, and the list of its files. What these hold is secret, and meant to be."""
    printed = stack.run("ops/backup.sh", str(folder)).stdout
    (file,) = folder.iterdir()
    return (printed + run(["tar", "--list", "--verbose", "--file", str(file)]).stdout).encode()


def images(stack: Stack) -> list[str]:
    """Return the names of the stack's images."""
    known = stack.docker("images", "--format", "{{.Repository}}", "--filter", f"reference={stack.prefix}_*").split()
    # Stacks with a longer prefix begin with the same words.
    return [name for name in known if "_" not in name.removeprefix(f"{stack.prefix}_")]


def of_images(stack: Stack) -> bytes:
    """Return what `docker inspect` and `docker history` show of the images."""
    shown = [stack.docker("inspect", name) + stack.docker("history", "--no-trunc", name) for name in images(stack)]
    return "\n".join(shown).encode()


def whole(answer: httpx.Response) -> bytes:
    """Return an answer with its head."""
    return b"\n".join(
        [str(answer.status_code).encode(), *(b": ".join(pair) for pair in answer.headers.raw), answer.content]
    )


class Watch:
    """Keeps the command lines and environments of all processes of the machine, while a block runs.

    And what the Docker engine tells of the stack's containers: it names each command of `docker exec`, also one that is
    over too soon to be seen.
    """

    def __init__(self, stack: Stack) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        chosen = [f"--since={time.time()}", f"--filter=label=warren.stack={stack.prefix}"]
        self._events = subprocess.Popen(["docker", "events", *chosen], stdout=subprocess.PIPE)
        self.told = b""

    def _look(self) -> None:
        own = str(os.getpid())
        while not self._stop.wait(0.05):
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and process.name != own:
                    for file in ("cmdline", "environ"):
                        try:
                            self.seen.add((process / file).read_bytes())
                        except OSError:  # it has ended, or is another user's
                            continue

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._events.terminate()
        self.told, _ = self._events.communicate()

    @property
    def text(self) -> bytes:
        """Return all that was seen and told."""
        return b"\n".join([*self.seen, self.told])
