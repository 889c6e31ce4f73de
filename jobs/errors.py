"""Errors that a job may end with."""


class JobFailed(Exception):
    """Raised by a task that cannot succeed; its one sentence is shown to people as it stands."""


def sentence(error: BaseException) -> str:
    """Return an exception as one plain sentence: its own if it was written for people, else with its type in front."""
    text = " ".join(str(error).split())
    if isinstance(error, JobFailed):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else f"{name}."
