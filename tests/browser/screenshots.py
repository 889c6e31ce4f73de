"""Takes the pictures of the documentation; ops/screenshots.sh calls it and says how."""

import argparse
import io
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.recording import record
from tests.browser.support import DESKTOP, OPTIONS, PHONE, find_chromium, live


@dataclass(frozen=True)
class View:
    """What a picture shows."""

    path: str
    width: int
    height: int
    #: Waits until everything is there.
    ready: Callable[[Page], Any]

    @property
    def size(self) -> Any:
        """Return the size of the window."""
        return {"width": self.width, "height": self.height}


def main() -> int:
    """Prepare the stack and take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    program = find_chromium()
    if program is None:
        print("error: no Chromium is installed\n\nInstall it with: apt-get install chromium", file=sys.stderr)
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=f"{arguments.url}/flask", timeout=30) as client:
        add_todos(client)
        keep_busy(client, arguments.seconds)
        shown = submit_what_is_shown(client)
    views = {
        "front": View("/", 1000, 900, lambda page: expect(page.locator("#well")).to_contain_text("All is well")),
        "dashboard": View("/flask", DESKTOP["width"], 900, live),
        "job": View(f"/flask/tasks/{shown}", 1000, 720, live),
        "queues": View("/flask/queues", 1000, 720, live),
        "phone": View("/flask", PHONE["width"], PHONE["height"], live),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        for scheme in ("light", "dark"):
            for name, view in views.items():
                context = browser.new_context(
                    base_url=arguments.url,
                    viewport=view.size,
                    color_scheme=scheme,
                    reduced_motion="reduce",
                    locale="en-GB",
                )
                page = context.new_page()
                page.goto(view.path)
                view.ready(page)
                save(page.screenshot(), arguments.output / f"{name}-{scheme}.png")
                context.close()
        with httpx.Client(base_url=f"{arguments.url}/flask", timeout=30) as client:
            page = browser.new_page(
                base_url=arguments.url, viewport={"width": 1000, "height": 560}, color_scheme="light"
            )
            record(page, lambda kind, **params: submit(client, kind, **params), arguments.worker, arguments.output)
        browser.close()
    return 0


def save(picture: bytes, path: Path) -> None:
    """Write a picture with its 256 most frequent colours, so that it stays small and its surfaces keep theirs."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    counted: Any = image.getcolors(maxcolors=image.width * image.height)
    frequent = [colour for _, colour in sorted(counted, reverse=True)[:256]]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in frequent for part in colour])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


# --- what the pictures show -------------------------------------------------------------------------------------------


def submit(client: httpx.Client, task_type: str, *, run_at: datetime | None = None, **params: Any) -> str:
    body = {"task_type": task_type, "input_params": params} | ({"run_at": run_at.isoformat()} if run_at else {})
    while (answer := client.post("/tasks", json=body)).status_code == 503:  # a busy machine: what it asks for
        time.sleep(float(answer.headers["Retry-After"]))
    answer.raise_for_status()
    return str(answer.json()["task_id"])


def add_todos(client: httpx.Client) -> None:
    """Add some to-dos, unless there are any."""
    if client.get("/todos").json()["data"]:
        return
    for text, done in [
        ("Read docs/tour.md", True),
        ("Kill a worker in the middle of a job", True),
        ("Add a kind of job of my own", False),
        ("Restore a backup", False),
        ("Put it behind TLS", False),
    ]:
        client.post("/todos", json={"text": text, "done": done})


def keep_busy(client: httpx.Client, seconds: float) -> None:
    """Submit small jobs, now more and now fewer of them."""
    chance = random.Random(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(chance.randint(0, 6)):
            submit(client, "add", a=chance.randint(1, 99), b=chance.randint(1, 99))
        if chance.random() < 0.5:
            submit(client, "export", filters={"done": True})
        if chance.random() < 0.8:
            submit(client, "heavy", seconds=chance.choice([1, 2, 3]))
        time.sleep(0.5)


def submit_what_is_shown(client: httpx.Client) -> str:
    """Submit jobs of every kind that are to be seen in all their states; return the id of a running one."""
    cancelled = submit(client, "heavy", seconds=30)
    client.delete(f"/tasks/{cancelled}")
    submit(client, "export", filters={"done": False})
    submit(client, "email_sending", num_emails=3, subject="Your monthly report")
    submit(client, "divide", a=355, b=113)
    submit(client, "image_processing", num_images=2, width=400, height=300)
    submit(client, "add", run_at=datetime.now(UTC) + timedelta(hours=3), a=20, b=22)
    submit(client, "divide", a=1, b=0)
    submit(client, "text", text="all's well that ends well", repeat=2)
    submit(client, "email_sending", num_emails=40, subject="Newsletter")
    running = submit(client, "csv_processing", num_rows=8000, processing_time=40)
    submit(client, "csv_processing", num_rows=2500, processing_time=25)
    for seconds in (45, 50, 40, 55):
        submit(client, "heavy", seconds=seconds)
    while client.get(f"/tasks/{running}").json()["progress"] < 20:  # then the short ones have ended
        time.sleep(0.5)
    return running


if __name__ == "__main__":
    sys.exit(main())
