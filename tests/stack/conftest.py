"""The stack that the tests of this folder share."""

from collections.abc import Iterator

import pytest

from tests.stack.support import PREFIX, Stack, running


@pytest.fixture(scope="session")
def stack(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack that all tests share, built by ./build.sh and removed when the last of them is done."""
    with running(Stack(PREFIX, tmp_path_factory.mktemp("stack"))) as stack:
        yield stack
