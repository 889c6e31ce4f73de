"""Measures the dashboard in a browser: see ``bench/page``."""

import asyncio
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Browser, sync_playwright

from bench.viewers import host_and_port, parser_of_runs, requests
from tests.browser.support import DESKTOP, OPTIONS, PHONE, find_chromium

#: A phone of the middle class is about four times slower than a desktop (Lighthouse simulates one in the same way).
SLOWER = 4
#: How many times a round opens the page on the phone.
VISITS = 5

FIRST_VIEW = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"

#: Keeps the longest time between two frames, in ms, and counts the times that are longer than 100 ms. It counts, too,
#: how often something in the list of jobs changes.
WATCH_FRAMES = """
() => {
  const seen = window.seen = { longest: 0, over100: 0, frames: 0, changes: 0 };
  let last = performance.now();
  const frame = (now) => {
    seen.frames += 1;
    seen.longest = Math.max(seen.longest, now - last);
    if (now - last > 100) seen.over100 += 1;
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new MutationObserver((records) => { seen.changes += records.length; })
    .observe(document.querySelector("#jobs"), { subtree: true, childList: true, attributes: true });
}
"""


def main() -> int:
    """Measure and print; return the exit code."""
    parser = parser_of_runs(__doc__)
    parser.set_defaults(rate=84, seconds=60, rounds=2)
    arguments = parser.parse_args()
    program = find_chromium()
    if program is None:
        raise SystemExit("error: no Chromium is installed\n\nTo install it: ./test.sh --install")

    views: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        for number in range(arguments.rounds):
            print(f"round {number + 1}")
            visits = [first_visit(browser, arguments.url) for _ in range(VISITS)]
            views += (view for _, view in visits)
            size, view = visits[0]
            print(f"  {size / 1000:.0f} kB as sent, first view {view:.0f} ms", flush=True)
            for rate in (0, arguments.rate):
                seen = frames(browser, arguments.url, rate, arguments.seconds)
                print(f"  {rate:g} jobs per second: {seen}", flush=True)
        browser.close()
    print(f"\nfirst view of a phone that is {SLOWER} times slower, of {len(views)} visits:")
    print(f"median {statistics.median(views):.0f} ms, longest {max(views):.0f} ms")
    return 0


def first_visit(browser: Browser, url: str) -> tuple[int, float]:
    """Open the dashboard on a slow phone. Return the bytes that came, and the ms until something was to be seen."""
    with browser.new_page(base_url=url, viewport=PHONE) as page:
        received: list[float] = []
        devtools = page.context.new_cdp_session(page)
        devtools.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
        devtools.send("Network.enable")
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.goto("/flask", wait_until="load")
        page.wait_for_function(FIRST_VIEW)
        return int(sum(received)), float(page.evaluate(FIRST_VIEW))


def frames(browser: Browser, url: str, rate: float, seconds: float) -> str:
    """Watch the dashboard while `rate` jobs per second come and go. Return what was seen."""
    with browser.new_page(base_url=url, viewport=DESKTOP) as page, ThreadPoolExecutor(1) as pool:
        page.goto("/flask")
        page.locator("#jobs").wait_for()
        page.evaluate(WATCH_FRAMES)
        load = pool.submit(lambda: asyncio.run(requests(*host_and_port(url), rate, seconds)))
        page.wait_for_timeout(seconds * 1000)
        jobs = len(load.result())
        seen = page.evaluate("window.seen")
    return (
        f"{jobs} jobs, {seen['changes']} changes of the list, {seen['frames'] / seconds:.0f} frames per second,"
        f" longest {seen['longest']:.0f} ms, {seen['over100']} over 100 ms"
    )


if __name__ == "__main__":
    sys.exit(main())
