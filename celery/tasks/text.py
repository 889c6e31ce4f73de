"""A text in capitals, several times."""

from jobs.task import JobTask, job


@job("text")
def text(task: JobTask, text: str, repeat: int = 1) -> str:
    """Return the text in upper case, ``repeat`` times, with a space between each two."""
    parts: list[str] = []
    for number in range(1, repeat + 1):
        task.report(100 * (number - 1) / repeat, f"{number} of {repeat}")
        parts.append(text.upper())
    return " ".join(parts)
