"""The tools that are off until somebody starts them, started for tests."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.stack import BUILD_TIMEOUT, Stack

#: The role of each tool, and its address.
TOOLS = {"flower": "/flower/", "prometheus": "/prometheus/", "rabbitmq_ui": "/rabbitmq/"}

USER = "operator"


def start(stack: Stack, tool: str, *arguments: str) -> str:
    """Start a tool and return its password, which has to be a new one."""
    output = stack.run(f"ops/{tool}.sh", "start", *arguments, timeout=BUILD_TIMEOUT).stdout
    found = re.search(r"^ +password: (\S+)$", output, re.MULTILINE)
    assert found is not None, output
    # Whatever becomes of the list, which takes longer than all else.
    assert found.end() < output.find("is made of") or "is made of" not in output
    return found[1]


@contextmanager
def all_started(stack: Stack) -> Iterator[dict[str, str]]:
    """Have all tools for the length of a block, which gets the password of each."""
    try:
        yield {tool: start(stack, tool) for tool in TOOLS}
    finally:
        for tool in TOOLS:
            stack.run(f"ops/{tool}.sh", "stop")
