"""`rebuild reporting` beside the rate at which the program took the same facts, with somebody reading figures all the while."""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from bench.load import Load
from bench.program import Program, ports
from services import upkeep
from services.standalone import Standalone

QUESTION = "by=country,month&measure=enrolled,completed,certified,training_hours"
PAUSE = 0.1
"""Seconds between two answers to whoever reads meanwhile."""


def remaking(given: Load) -> dict[str, Any]:
    """Facts a second, from the first POST until all was reported, and read again; and what a reader met meanwhile."""
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, Standalone(Path(folder), ports()) as sampan:
        program = Program(sampan, given)
        live = program.take_over_http(given)
        reader = _Reader(sampan)
        with reader:
            made = upkeep.rebuild_reporting(program.client, lambda _read, _all: None)
        if made["corrected"]:
            raise AssertionError(f"a rebuild of what was right corrected {made['corrected']}")
    return {
        "facts": made["facts"],
        "live a second": round(made["facts"] / live, 1),
        "rebuilt a second": round(made["facts"] / made["seconds"], 1),
        "answers meanwhile": reader.milliseconds,
    }


class _Reader:
    """Asks the same again and again while the block runs, and raises when an answer is not that of before."""

    def __init__(self, sampan: Standalone) -> None:
        self._address = f"{sampan.urls['reporting']}/v1/aggregates?{QUESTION}"
        self._headers = {"Authorization": f"Bearer {sampan.admin_token}"}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._wrong: list[str] = []
        self.milliseconds: list[float] = []

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._wrong:
            raise AssertionError(f"a reader was answered otherwise meanwhile: {self._wrong[0][:200]}")

    def _ask(self) -> None:
        with httpx.Client(headers=self._headers, timeout=60) as http:
            first = http.get(self._address).raise_for_status().json()["rows"]
            while not self._stop.wait(PAUSE):
                before = time.perf_counter()
                answer = http.get(self._address)
                self.milliseconds.append(round((time.perf_counter() - before) * 1000, 1))
                if answer.status_code != 200 or answer.json()["rows"] != first:
                    self._wrong.append(answer.text)
