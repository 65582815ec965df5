"""From a POST to an open dashboard: a real browser has the page open, and the clock stops when its figures have changed."""

import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.latency import enrolled, post, prepare
from bench.load import Load
from bench.program import Program, ports
from services.standalone import Standalone

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAUSE = 1.2  # a page lets some time pass before it asks again: so each event finds it waiting
PATIENCE_MS = 20_000


def following(given: Load, samples: int) -> list[float]:
    """Milliseconds from the start of a POST until the dashboard shows its effect, one event at a time.

    Raises RuntimeError where there is no Chromium.
    """
    if CHROMIUM is None:
        raise RuntimeError("The open dashboard needs Chromium (Debian, Ubuntu: apt install chromium).")
    numbers = [f"{number:03d}" for number in range(1, samples + 1)]
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, Standalone(Path(folder), ports()) as sampan:
        program = Program(sampan, given)
        program.take_over_http(given)
        prepare(program, numbers)
        program.client.wait_until_reported()
        with sync_playwright() as browsers:
            browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(extra_http_headers={"Authorization": f"Bearer {sampan.admin_token}"})
            page.goto(sampan.urls["reporting"])
            page.wait_for_selector("#live:not(:empty)")
            taken = [_milliseconds(program, page, number) for number in numbers]
            browser.close()
    return taken


def _milliseconds(program: Program, page: Page, number: str) -> float:
    time.sleep(PAUSE)
    before = page.locator(".headlines li:first-child strong").inner_text()
    start = time.perf_counter()
    post(program, enrolled(number))
    page.wait_for_function(_CHANGED, arg=before, timeout=PATIENCE_MS)
    return round((time.perf_counter() - start) * 1000, 1)


_CHANGED = "(before) => document.querySelector('.headlines li:first-child strong').innerText !== before"
