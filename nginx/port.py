#!/usr/bin/python3 -I
"""Hold the published port, and lend it to each Nginx.

  port.py hold               make the port's listening socket, and hand it to whoever comes to the door
  port.py borrow COMMAND...  wait for the socket, then become this command, which finds it as Nginx does

A listening socket may belong to several processes. The port container makes it, takes no connection itself, and hardly
ever changes. Each Nginx container gets the same socket through the door, a Unix socket in a volume that they share. So
while one Nginx replaces another, both take connections from one queue, and nobody finds the port closed.
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path

PORT = 8080
BACKLOG = 511  # what Nginx would ask for
DOOR = Path("/run/warren/door")
#: Tells one life of the port container from the next: a socket from an earlier one leads nowhere. The healthcheck of
#: Nginx compares the two files.
LIFE = Path("/run/warren/life")
BORROWED = Path("/tmp/borrowed")


def hold() -> None:
    """Make the listening socket, and hand it to everybody who connects to the door."""
    life = os.urandom(8).hex().encode()
    os.umask(0)  # Nginx may run as another user, if build.sh did
    with socket.create_server(("", PORT), backlog=BACKLOG) as port, socket.socket(socket.AF_UNIX) as door:
        # As Nginx' own sockets are: several processes are woken for one connection, and those that find it gone go on.
        port.setblocking(False)
        LIFE.write_bytes(life)
        DOOR.unlink(missing_ok=True)
        door.bind(str(DOOR))
        door.listen()
        while True:
            borrower, _ = door.accept()
            with borrower:
                try:
                    socket.send_fds(borrower, [life], [port.fileno()])
                except ConnectionError as error:
                    print(f"Somebody left the door too early: {error}", file=sys.stderr)


def borrow(command: list[str]) -> None:
    """Get the listening socket, as soon as there is one, and become the command; $NGINX tells it about the socket."""
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.connect(str(DOOR))
                life, [port], _, _ = socket.recv_fds(door, 64, 1)
            break
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.1)
    BORROWED.write_bytes(life)
    os.set_inheritable(port, True)
    os.execvpe(command[0], command, os.environ | {"NGINX": f"{port};"})


def main() -> None:
    """Do what the arguments say."""
    for number in (signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # the first process of a container has to ask for signals
    match sys.argv[1:]:
        case ["hold"]:
            hold()
        case ["borrow", *command] if command:
            borrow(command)
        case _:
            sys.exit("Usage: port.py hold | port.py borrow COMMAND...")


if __name__ == "__main__":
    main()
