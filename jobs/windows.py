"""Stretches of time up to now for which figures are shown, made of slots: minutes or hours."""

from dataclasses import dataclass

#: Seconds of a slot.
MINUTE, HOUR = 60, 3600


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of time up to now, in slots: the present one, which is not over, and those before it."""

    name: str
    span: int
    slots: int

    def first_slot(self, now: float) -> int:
        """Return the number of the slot with which it begins."""
        return int(now // self.span) - self.slots + 1


#: By the name that people and programs use.
WINDOWS = {
    window.name: window
    for window in (
        Window(name="1h", span=MINUTE, slots=60),
        Window(name="24h", span=HOUR, slots=24),
        Window(name="7d", span=HOUR, slots=7 * 24),
    )
}
