"""A text in capitals, several times."""

from jobs.catalogue import TextParams
from jobs.task import JobTask, job


@job("text")
def text(task: JobTask, params: TextParams) -> str:
    """Return the text in upper case, ``repeat`` times, with a space between each two."""
    parts: list[str] = []
    for number in range(1, params.repeat + 1):
        task.report(100 * (number - 1) / params.repeat, f"{number} of {params.repeat}")
        parts.append(params.text.upper())
    return " ".join(parts)
