"""Reading figures: the same questions with ten thousand enrolments and with a hundred times as many, in as many more cohorts.

The cubes are filled with what reporting counts of made-up cohorts (``bench.cube``); what is measured is reporting's own HTTP, in
a process of its own, on the embedded PostgreSQL, and what an event takes on its way through all three services into those cubes.
All sizes run at once and are asked in turns, so that what else the machine does weighs on each alike.
"""

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import httpx

from bench.cube import fill
from bench.exchange import exchange
from bench.program import Program, Watch, database_url, ports
from bench.supply import Flow, intake
from services.standalone import Standalone
from shared.database import Database

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
WARM = 5
"""So often is each question asked before times are taken."""
A_SECOND, IN_A_POST = 50, 10
"""Events that flow in while is read: four million a day."""
WRITTEN, TURNS = 4, 3
"""Cohorts of a hundred that are taken in, so often, for the time of an event."""

Times = dict[str, list[float]]


def reads(sizes: Sequence[int], samples: int) -> dict[str, Any]:
    """Milliseconds and processor milliseconds of each question at each size, idle and while facts flow in; an event's seconds.

    Beside the answers of the largest stands an exchange of bare processes that takes as long.
    """
    with ExitStack() as stack:
        running: dict[int, Program] = {}
        cells = {}
        for size in sorted(sizes):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sampan-bench-"))
            sampan = stack.enter_context(Standalone(Path(folder), ports()))
            _say(f"filling the cube with {size} enrolments")
            cells[size] = asyncio.run(_fill(sampan, size))
            running[size] = Program(sampan)
        _say("reading, idle")
        idle, spent = ask({size: program.sampan for size, program in running.items()}, samples)
        answers = [time for times in idle[max(running)].values() for time in times]
        bare = exchange(median(answers), len(answers))
        flowing = {}
        for size, program in running.items():
            _say(f"reading with {size} enrolments while facts flow in")
            flowing[size] = while_flowing(program, samples)
        writing: dict[int, list[float]] = {size: [] for size in running}
        for turn in range(TURNS):
            for size, program in running.items():
                _say(f"writing with {size} enrolments")
                writing[size].append(intake(program, f"written-{turn}", WRITTEN))
    return {
        "enrolments": sorted(sizes),
        "cells": {str(size): number for size, number in cells.items()},
        "idle": {str(size): each(times) for size, times in idle.items()},
        "bare exchange": _of(bare),
        "processor": {str(size): milliseconds for size, milliseconds in spent.items()},
        "flowing": {str(size): times for size, times in flowing.items()},
        "flow": {"events a second": A_SECOND, "trainees in a post": IN_A_POST},
        "writing": {str(size): seconds for size, seconds in writing.items()},
    }


def reading(program: Program, samples: int) -> dict[str, Any]:
    """The same questions to a program that has taken in a data set: idle, and while facts flow in."""
    idle, _ = ask({0: program.sampan}, samples)
    return {"idle": each(idle[0]), "flowing": while_flowing(program, samples)}


def while_flowing(program: Program, samples: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each question while so many events a second flow in."""
    with Flow(program, "flowing", A_SECOND, IN_A_POST):
        times, _ = ask({0: program.sampan}, samples)
    return each(times[0])


def each(times: Times) -> dict[str, dict[str, float]]:
    """Of each question, and of all."""
    return {name: _of(those) for name, those in {**times, "all": [one for of in times.values() for one in of]}.items()}


def _of(times: list[float]) -> dict[str, float]:
    at = quantiles(times, n=100, method="inclusive")
    return {"p50": round(median(times), 2), "p99": round(at[98], 2), "mean": round(mean(times), 2)}


def ask(running: dict[int, Standalone], samples: int) -> tuple[dict[int, Times], dict[int, float]]:
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
        for number in range(WARM + samples):
            if number == WARM:
                watches = {size: stack.enter_context(Watch(sampan)) for size, sampan in running.items()}
            for name, question in QUESTIONS.items():
                for size, client in clients.items():
                    before = time.perf_counter()
                    client.get(f"/v1/aggregates?{question}").raise_for_status()
                    if number >= WARM:
                        found[size][name].append((time.perf_counter() - before) * 1000)
    asked = samples * len(QUESTIONS)
    spent = {
        size: round((watch.seconds["reporting"] + watch.seconds["PostgreSQL"]) * 1000 / asked, 2)
        for size, watch in watches.items()
    }
    return found, spent


async def _fill(sampan: Standalone, size: int) -> int:
    database = Database(sampan.postgres.url("reporting"), "reporting")
    cells = await fill(database, database_url(sampan), size)
    await database.close()
    return cells


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
