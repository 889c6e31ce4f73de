"""Errors that a job may end with."""


class JobFailed(Exception):
    """Raised by a task that cannot succeed; its one sentence is shown to people as it stands."""


def sentence(error: BaseException) -> str:
    """Return an exception as one plain sentence: its own if it was written for people, else with its type in front."""
    text = storable(" ".join(str(error).split()))
    if isinstance(error, JobFailed):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else f"{name}."


def storable(text: str) -> str:
    """Return a text as every database takes it: with a question mark for what is no character of UTF-8, and for NUL."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode()
