"""RQ's jobs, in a module of their own: the process that RQ starts for each job imports it anew."""


def add(a: float, b: float) -> float:
    """Return a + b."""
    return a + b
