#!/usr/bin/env python3
"""Firefox as Debian has it, for Playwright: started in its place, this file starts Firefox and relays between the two.

They speak WebDriver BiDi (https://w3c.github.io/webdriver-bidi). Playwright begins each profile with a command that
Firefox ESR does not know yet, and takes its refusal for a failure. Here the refusal becomes an empty answer. All other
messages pass as they are.
"""

import asyncio
import json
import re
import shutil
import sys
from asyncio.subprocess import PIPE

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

#: Light or dark: none of the tests in Firefox asks for it.
UNKNOWN = "emulation.setMediaFeaturesOverride"
ADDRESS = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")


def find_firefox() -> str | None:
    """Return the path of a Firefox that is installed."""
    return next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)


async def relay(client: ServerConnection, address: str) -> None:
    """Relay between Playwright and Firefox until one of them has gone."""
    asked = set()
    async with connect(address, max_size=None, ping_interval=None) as firefox:

        async def down() -> None:
            async for message in client:
                command = json.loads(message)
                if command["method"] == UNKNOWN:
                    asked.add(command["id"])
                await firefox.send(message)
            await firefox.close()

        async def up() -> None:
            async for message in firefox:
                answer = json.loads(message)
                if answer.get("id") in asked and answer.get("error") == "unknown command":
                    message = json.dumps({"type": "success", "id": answer["id"], "result": {}})
                await client.send(message)
            await client.close()

        await asyncio.gather(down(), up(), return_exceptions=True)


async def main() -> int:
    """Run Firefox with the arguments of this program; return its exit code."""
    program = find_firefox()
    assert program is not None
    firefox = await asyncio.create_subprocess_exec(program, *sys.argv[1:], stderr=PIPE)
    assert firefox.stderr is not None
    address = ""

    async def serve_one(client: ServerConnection) -> None:
        assert client.request is not None
        await relay(client, address + client.request.path)

    async with serve(serve_one, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        async for line in firefox.stderr:
            found = ADDRESS.search(line)
            if found is not None:
                address = found[1].decode()
                # Playwright reads from this line where Firefox is to be found.
                line = ADDRESS.sub(b"WebDriver BiDi listening on ws://127.0.0.1:%d" % port, line)
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
    return await firefox.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
