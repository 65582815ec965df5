"""As much as is taken, for minutes: does it stay as fast, does memory stay flat, and is everything there in the end?"""

import tempfile
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench.holding import held
from bench.judge import Held, Verdict, judge, recomputed
from bench.latency import registered
from bench.program import Looking, Program, ports
from bench.rounds import TOLD, say
from bench.supply import Flow
from services.errors import ClientError
from services.standalone import Standalone

WINDOW_SECONDS = 300.0
LOOK_SECONDS = 2.0


def soak(minutes: float) -> dict[str, Any]:
    """Events a second and resident bytes of each service in the first and the last window (five minutes, or a third of a shorter
    soak), seconds until all was reported, and what the judge and a check find to differ.
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
        verdict = judged(flow.answered(), held(program))
        differing = [*verdict.differing, *_differences(program)]
        if differing:
            say(f"the soak: void, {len(differing)} rows differ: {differing[:TOLD]}")
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
        "differing": len(differing),
        "first": differing[:TOLD],
        "lost": verdict.lost,
        "doubled": verdict.doubled,
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


def judged(answered: Iterable[bytes], held: Held) -> Verdict:
    """What is held of the answered events and of what was registered before them, row by row: as in a round."""
    return judge(recomputed(chain((one.body for one in registered()), answered)), held)


def _differences(program: Program) -> list[str]:
    """What a check finds, or why there is none: a soak is not to be lost for it."""
    try:
        program.check()
    except (AssertionError, ClientError) as found:
        return [str(found)]
    return []
