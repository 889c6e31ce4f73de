#!/usr/bin/python3 -I
"""Hold the published ports, and lend them to each Nginx.

  port.py hold PORT...       make the listening socket of each port, and hand them to whoever comes to the door
  port.py borrow COMMAND...  wait for the sockets, then become this command, which finds them as Nginx does

A listening socket may belong to several processes. The port container makes it, takes no connection itself, and hardly
ever changes. Each Nginx container gets the same socket through the door, a Unix socket in a volume that they share. So
while one Nginx replaces another, both take connections from one queue, and nobody finds the port closed.
"""

import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path

MOST_PORTS = 2
BACKLOG = 511  # what Nginx would ask for
DOOR = Path("/run/warren/door")
#: Tells one life of the port container from the next: sockets from an earlier one lead nowhere. The healthcheck of
#: Nginx compares the two files.
LIFE = Path("/run/warren/life")
BORROWED = Path("/tmp/borrowed")


def hold(ports: list[int]) -> None:
    """Make the listening sockets, and hand them to everybody who connects to the door."""
    life = os.urandom(8).hex().encode()
    os.umask(0)  # Nginx may run as another user, if build.sh did
    with ExitStack() as at_the_end, socket.socket(socket.AF_UNIX) as door:
        held = [at_the_end.enter_context(socket.create_server(("", port), backlog=BACKLOG)) for port in ports]
        for each in held:
            # As Nginx' own sockets are: several processes are woken for one connection; those that find it gone go on.
            each.setblocking(False)
        LIFE.write_bytes(life)
        DOOR.unlink(missing_ok=True)
        door.bind(str(DOOR))
        door.listen()
        while True:
            borrower, _ = door.accept()
            with borrower:
                try:
                    socket.send_fds(borrower, [life], [each.fileno() for each in held])
                except ConnectionError as error:
                    print(f"Somebody left the door too early: {error}", file=sys.stderr)


def borrow(command: list[str]) -> None:
    """Get the listening sockets, as soon as they are there, and become the command; $NGINX tells it about them."""
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.connect(str(DOOR))
                life, borrowed, _, _ = socket.recv_fds(door, 64, MOST_PORTS)
            break
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.1)
    BORROWED.write_bytes(life)
    for number in borrowed:
        os.set_inheritable(number, True)
    os.execvpe(command[0], command, os.environ | {"NGINX": "".join(f"{number};" for number in borrowed)})


def main() -> None:
    """Do what the arguments say."""
    for number in (signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # the first process of a container has to ask for signals
    match sys.argv[1:]:
        case ["hold", *ports] if 1 <= len(ports) <= MOST_PORTS:
            hold([int(port) for port in ports])
        case ["borrow", *command] if command:
            borrow(command)
        case _:
            sys.exit("Usage: port.py hold PORT... | port.py borrow COMMAND...")


if __name__ == "__main__":
    main()
