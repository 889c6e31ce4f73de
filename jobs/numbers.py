"""Numbers as people write them."""

#: Beyond it a float no longer tells neighbouring integers apart.
_EXACT = 2**53


def plain(number: float) -> int | float:
    """Return an integral number as an ``int``, so that JSON says 16 and not 16.0; any other as it is."""
    return int(number) if float(number).is_integer() and abs(number) <= _EXACT else number
