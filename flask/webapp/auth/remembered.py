"""What was looked up a moment ago, so that not each request asks the ledger who is asking."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

#: Seconds that an answer serves: so long a token works after it was revoked, and a session after its end.
SECONDS = 1.0
#: Most answers that are kept.
MOST = 1000


class Remembered(Generic[V]):
    """Answers by key. That there is none is not kept: whoever invents keys would fill it."""

    def __init__(self, look_up: Callable[[str], V | None]) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, V]] = {}

    def get(self, key: str) -> V | None:
        """Return the answer for a key. Raises what looking it up raises."""
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        found = self._look_up(key)
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            if found is not None:
                self._known[key] = (now + SECONDS, found)
            else:
                self._known.pop(key, None)
        return found
