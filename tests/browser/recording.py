"""Records a moving picture: jobs arrive, their worker is killed, and they go on; `screenshots.py` calls it."""

import io
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page

from tests.browser.support import live

#: In seconds of the page's time
BETWEEN_FRAMES = 0.3
LONGEST_WAIT = 120
#: How much faster the picture is than the page, and how long it shows one frame at most, in milliseconds
SPEED = 2
LONGEST_FRAME = 900
LAST_FRAME = 2500
#: Pixels of the line that says what happens
LINE = 32

Frame = tuple[float, Image.Image]


def record(page: Page, submit: Callable[..., str], worker: str, output: Path) -> None:
    """Write ``recording.webp``. The container ``worker`` is killed on the way; its restart policy brings it back."""
    page.goto("/flask?limit=12")
    live(page)
    frames: list[Frame] = []
    for caption in _story(page, submit, worker):
        frames.append((time.monotonic(), _captioned(page.screenshot(), caption)))
        page.wait_for_timeout(BETWEEN_FRAMES * 1000)
    path = output / "recording.webp"
    _save(frames, path)
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def _story(page: Page, submit: Callable[..., str], worker: str) -> Iterator[str]:
    """Make it happen, and say for each frame what it is."""
    ids = []
    for _ in range(3):
        ids.append(submit("csv_processing", num_rows=8000, processing_time=12))
        yield "Jobs arrive: each is on disk before it is accepted."
    rows = [page.locator(f"#job-{task_id}") for task_id in ids]
    yield from _until(lambda: _progress(page) > 30, "Jobs run, and say how far they are.")
    _kill(worker)
    caption = "kill -9: their worker is gone. Jobs are still accepted."
    for number in range(6):
        ids.append(submit("add", a=number, b=1))
        yield caption
    yield from _until(lambda: page.locator(".state[data-state=PROGRESS]").count() == 0, caption)
    yield from _until(lambda: _progress(page) > 0, "The lease of the dead worker ends. Its jobs are given out again.")
    yield from _until(
        lambda: all(row.get_attribute("data-state") == "SUCCESS" for row in rows), "A second run, and nothing is lost."
    )
    yield "A second run, and nothing is lost."


def _until(done: Callable[[], bool], caption: str) -> Iterator[str]:
    end = time.monotonic() + LONGEST_WAIT
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {LONGEST_WAIT} s: {caption}")
        yield caption


def _progress(page: Page) -> int:
    shown = page.locator("#jobs progress").all()
    return max((int(bar.get_attribute("value") or 0) for bar in shown), default=0)


def _kill(container: str) -> None:
    """Kill its first process. After `docker kill`, Docker would not start it again."""
    asked = ["docker", "inspect", "--format", "{{.State.Pid}}", container]
    os.kill(int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout), signal.SIGKILL)


def _captioned(picture: bytes, caption: str) -> Image.Image:
    shown = Image.open(io.BytesIO(picture)).convert("RGB")
    framed = Image.new("RGB", (shown.width, shown.height + LINE), "#1b1d24")
    framed.paste(shown)
    ImageDraw.Draw(framed).text(
        (24, shown.height + LINE / 2), caption, "white", ImageFont.load_default(16), anchor="lm"
    )
    return framed


def _save(frames: list[Frame], path: Path) -> None:
    """Write frames that differ from the one before, each as long as it was to be seen."""
    kept: list[Frame] = []
    for at, image in frames:
        if not kept or image.tobytes() != kept[-1][1].tobytes():
            kept.append((at, image))
    times = [at for at, _ in kept]
    lengths = [min(round(1000 * (after - at) / SPEED), LONGEST_FRAME) for at, after in pairwise(times)]
    first, *rest = (image for _, image in kept)
    first.save(path, save_all=True, append_images=rest, duration=[*lengths, LAST_FRAME], loop=0, quality=80, method=4)
