"""When a disk is nearly full: for those who send notices of it, and for the pages."""

#: It is when less than this share of it is free, and fewer than these bytes.
SHARE, BYTES = 0.05, 5e9


def nearly_full(free: int, total: int, margin: float = 1.0) -> bool:
    """Tell whether a disk of ``total`` bytes is nearly full. With a margin, it needs so many times the room."""
    return free < margin * min(SHARE * total, BYTES)
