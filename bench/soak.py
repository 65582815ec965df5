"""As much as is taken, for minutes: does it stay as fast, does memory stay flat, and is everything there in the end?"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import psutil

from bench.program import Looking, Program, database_url, ports
from bench.supply import Flow
from services.standalone import Standalone

WINDOW_SECONDS = 300.0
LOOK_SECONDS = 2.0


def soak(minutes: float) -> dict[str, Any]:
    """Events a second and resident bytes of each service in the first and the last window (five minutes, or a third of a shorter
    soak), seconds until all was reported, and what was lost or doubled.
    """
    seconds = minutes * 60
    window = min(WINDOW_SECONDS, seconds / 3)
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, Standalone(Path(folder), ports()) as sampan:
        program = Program(sampan)
        with _Memory(sampan) as memory, Flow(program, "soak") as flow:
            time.sleep(seconds)  # what is measured is what happens meanwhile
        behind = time.monotonic()
        program.client.wait_until_reported()
        behind = time.monotonic() - behind
        lost, doubled = asyncio.run(_lost_and_doubled(sampan, flow.events))
    first = sum(events for at, events in flow.done if at <= window)
    if not first:
        raise ValueError("nothing was answered in the soak's first window: let it last longer")
    last = sum(events for at, events in flow.done if seconds - window < at <= seconds)
    return {
        "minutes": minutes,
        "window seconds": window,
        "events": flow.events,
        "a second": {"first": first / window, "last": last / window},
        "memory": {
            name: {
                "first": median(size for at, size in sizes if at <= window),
                "last": median(size for at, size in sizes if seconds - window < at <= seconds),
            }
            for name, sizes in memory.sizes.items()
        },
        "behind seconds": round(behind, 1),
        "lost": lost,
        "doubled": doubled,
    }


class _Memory(Looking):
    """What the services hold in memory while the block runs: (seconds since the start, bytes)."""

    def __init__(self, sampan: Standalone) -> None:
        super().__init__(LOOK_SECONDS)
        self._processes = {service.name: psutil.Process(service.pid) for service in sampan.services}
        self.sizes: dict[str, list[tuple[float, int]]] = {name: [] for name in self._processes}
        self._began = time.monotonic()

    def look(self) -> None:
        """Note what each holds."""
        for name, process in self._processes.items():
            self.sizes[name].append((time.monotonic() - self._began, process.memory_info().rss))


async def _lost_and_doubled(sampan: Standalone, acknowledged: int) -> tuple[int, int]:
    """Of the events that were answered: those that are in no journal, and awards there more than once or counted otherwise."""
    database = await asyncpg.connect(database_url(sampan))
    there = await database.fetchval(_THERE)
    registered = 3  # the programme, the centre and the scheme
    twice = await database.fetchval(_TWICE)
    certified = await database.fetchval("SELECT count(*) FROM certification.certificates WHERE status = 'issued'")
    counted = await database.fetchval(_COUNTED)
    await database.close()
    return max(acknowledged + registered - there, 0) + max(certified - counted, 0), twice + max(counted - certified, 0)


_THERE = "SELECT (SELECT count(*) FROM enrolment.events) + (SELECT count(*) FROM certification.events)"
_TWICE = """
    SELECT coalesce(sum(times - 1), 0)::bigint FROM (
        SELECT count(*) AS times FROM certification.certificates WHERE status = 'issued'
        GROUP BY enrolment, scheme, data ->> 'occupation', data ->> 'level'
    ) AS awards
"""
_COUNTED = "SELECT coalesce(sum(value), 0)::bigint FROM reporting.cube WHERE measure = 'certified'"
