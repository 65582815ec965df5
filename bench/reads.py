"""Reading figures: the same questions with ten thousand enrolments and with a hundred times as many, in as many more cohorts.

The cubes are filled with what reporting counts of made-up cohorts (``bench.cube``); what is measured is reporting's own HTTP, in
a process of its own, on the embedded PostgreSQL. All sizes run at once and are asked in turns, so that what else the machine does
weighs on each alike.
"""

import asyncio
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import httpx

from bench.cube import fill
from bench.load import Load, load
from bench.program import Program, Watch, database_url, ports
from services.standalone import Standalone
from shared.database import Database
from shared.events.wire import NDJSON

QUESTIONS = {
    "all counts": "",
    "by country": "by=country",
    "by month and sex": "by=month,sex&measure=enrolled,completed,certified",
    "by trade, half a year": "by=trade&country=KH&from=2024-01&to=2024-06&measure=enrolled,started,completed",
    "rates by end month": "by=end_month&measure=completion_rate,womens_share,certification_rate",
    "rates by trade, half a year": "by=trade&from=2024-01&to=2024-06&measure=completion_rate,pass_rate",
    "by scheme and level": "by=scheme,level&measure=assessed,passed,certified",
    "by sending centre": "by=sending_centre&measure=enrolled,certified",
    "by age and disability": "by=age_band,disability&measure=enrolled,completed",
    "response at six months": "measure=response_rate_6,employment_rate_6&by=country",
    "people by programme and country": "by=programme,country&measure=people",
}
WARM, SAMPLES = 5, 100
"""Of each question at each size."""
A_SECOND, IN_A_POST = 50, 10
"""Events that flow in while is read: four million a day."""

Times = dict[str, list[float]]


def reads(sizes: Sequence[int]) -> dict[str, Any]:
    """Milliseconds and processor milliseconds of each question at each size, idle and while facts flow in, and their ratios."""
    given = load(20_000, 0)
    with ExitStack() as stack:
        running: dict[int, Standalone] = {}
        cells = {}
        for size in sorted(sizes):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sampan-bench-"))
            running[size] = stack.enter_context(Standalone(Path(folder), ports()))
            _say(f"filling the cube with {size} enrolments")
            cells[size] = asyncio.run(_fill(running[size], size))
        return {"cells": {str(size): number for size, number in cells.items()}, **taken(running, given)}


def taken(running: dict[int, Standalone], given: Load) -> dict[str, Any]:
    """The same of programs that run already, by size."""
    _say("reading, idle")
    idle, spent = _ask(running)
    flowing: dict[int, Times] = {}
    for size, sampan in running.items():
        _say(f"reading with {size} enrolments while facts flow in")
        with _flow(sampan, given):
            flowing[size] = _ask({size: sampan})[0][size]
    return {
        "idle": {str(size): _each(times) for size, times in idle.items()},
        "processor": {str(size): milliseconds for size, milliseconds in spent.items()},
        "flowing": {str(size): _each(times) for size, times in flowing.items()},
        "flow": {"events a second": A_SECOND, "events in a post": IN_A_POST},
    }


def _each(times: Times) -> dict[str, dict[str, float]]:
    """Of each question, and of all."""
    return {name: _of(those) for name, those in {**times, "all": [one for of in times.values() for one in of]}.items()}


def _of(times: list[float]) -> dict[str, float]:
    at = quantiles(times, n=100, method="inclusive")
    return {"p50": round(median(times), 2), "p99": round(at[98], 2), "mean": round(mean(times), 2)}


def _ask(running: dict[int, Standalone]) -> tuple[dict[int, Times], dict[int, float]]:
    """Milliseconds of each question, asked in turns, and the processor milliseconds of an answer, with the database's."""
    found: dict[int, Times] = {size: defaultdict(list) for size in running}
    with ExitStack() as stack:
        clients = {
            size: stack.enter_context(
                httpx.Client(
                    base_url=sampan.urls["reporting"],
                    headers={"Authorization": f"Bearer {sampan.admin_token}"},
                    timeout=60,
                )
            )
            for size, sampan in running.items()
        }
        watches = {}
        for number in range(WARM + SAMPLES):
            if number == WARM:
                watches = {size: stack.enter_context(Watch(sampan)) for size, sampan in running.items()}
            for name, question in QUESTIONS.items():
                for size, client in clients.items():
                    before = time.perf_counter()
                    client.get(f"/v1/aggregates?{question}").raise_for_status()
                    if number >= WARM:
                        found[size][name].append((time.perf_counter() - before) * 1000)
    asked = SAMPLES * len(QUESTIONS)
    spent = {
        size: round((watch.seconds["reporting"] + watch.seconds["PostgreSQL"]) * 1000 / asked, 2)
        for size, watch in watches.items()
    }
    return found, spent


@contextmanager
def _flow(sampan: Standalone, given: Load) -> Iterator[None]:
    """Let the offices post, so many events a second, until the block ends."""
    program, stop = Program(sampan, given), threading.Event()
    posts = [
        (post.source, post.service, b"\n".join(post.events[first : first + IN_A_POST]))
        for post in given.posts
        for first in range(0, len(post.events), IN_A_POST)
    ]

    def post() -> None:
        with httpx.Client(timeout=60) as http:
            began = time.monotonic()
            for number, (source, service, body) in enumerate(posts):
                if stop.wait(max(began + number * IN_A_POST / A_SECOND - time.monotonic(), 0)):
                    return
                headers = {"Authorization": f"Bearer {program.tokens[source]}", "Content-Type": NDJSON}
                http.post(f"{sampan.urls[service]}/v1/events", content=body, headers=headers).raise_for_status()
        raise AssertionError("there was nothing left to post while figures were read")

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield
        if not thread.is_alive():
            raise AssertionError("facts did not flow in all the while")
    finally:
        stop.set()
        thread.join()


async def _fill(sampan: Standalone, size: int) -> int:
    database = Database(sampan.postgres.url("reporting"), "reporting")
    cells = await fill(database, database_url(sampan), size)
    await database.close()
    return cells


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
