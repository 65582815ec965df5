"""A round: the program takes in the data set and is judged; then what stands beside it, on the same broker and database."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import holding
from bench.bare import bare
from bench.copying import copying
from bench.floor import floor
from bench.judge import Held, Verdict, judge, recomputed
from bench.latency import latency
from bench.load import Load, load
from bench.peers import PEERS, Peer
from bench.program import Program, Watch, database_url, ports, settings
from bench.readers import with_readers
from bench.reads import reading
from bench.supply import Flow
from services.standalone import Standalone

TOLD = 5
"""So many rows that differ are kept of a void run."""

Taken = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything there is in a round."""

    events: int
    prefix: int
    """Of the data set, what the peers take in."""
    floor: int
    single: int
    samples: int
    readers: int
    reader_cohorts: int
    posts: int
    """Of 500 events, beside COPY."""


def rounds(number: int, sizes: Sizes) -> Taken:
    """So many rounds, one after the other."""
    given = load(sizes.events, sizes.single)
    bodies = [one.body for one in given.data.arrivals]
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder:
        taken_in = Path(folder) / "taken.ndjson"
        must, of_prefix = recomputed(bodies, taken_in), recomputed(bodies[: sizes.prefix])
        if len(must.journal) != given.data.taken:
            raise AssertionError(f"the judge takes {len(must.journal)} events, and there are {given.data.taken}")
        found = []
        for nth in range(1, number + 1):
            say(f"round {nth} of {number}")
            found.append(_Round(given, sizes, must, of_prefix, taken_in, checks=nth == 1).take())
    data = given.data
    return {
        "load": {
            "events": given.events,
            "can be taken": data.taken,
            "duplicates": data.duplicates,
            "of them late": data.late,
            "out of order": data.disordered,
            "invalid": data.invalid,
            "posts": len(given.posts),
            "offices": len(given.offices),
        },
        "sizes": asdict(sizes),
        "rounds": found,
    }


class _Round:
    def __init__(self, given: Load, sizes: Sizes, must: Held, of_prefix: Held, taken_in: Path, *, checks: bool) -> None:
        """`checks`: whether the program checks itself, which takes as long as some of the peers together."""
        self._given, self._sizes, self._checks = given, sizes, checks
        self._must, self._of_prefix, self._taken_in = must, of_prefix, taken_in
        self._taken: Taken = {"rates": {}, "verdicts": {}, "skipped": {}, "seconds": {}}

    def take(self) -> Taken:
        taken = self._taken
        before, self._began = os.getloadavg()[0], time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, Standalone(Path(folder), ports()) as sampan:
            taken["settings"] = settings(sampan)
            program = Program(sampan, self._given)
            moved = self._program(program)
            self._beside_intake(program, taken["rates"]["program"])
            if self._checks:
                self._check(program)
            for service in sampan.services:
                service.stop()  # what is beside it has the machine, the broker and the database to itself
            taken["bare seconds"] = asyncio.run(bare(sampan, self._given, moved))
            taken["rates"]["bare"] = self._given.events / sum(taken["bare seconds"].values())
            self._took("bare loops")
            prefix = [one.body for one in self._given.data.arrivals]
            taken["rates"]["floor"] = self._sizes.floor / asyncio.run(floor(sampan, prefix[: self._sizes.floor]))
            self._took("floor")
            for peer in PEERS:
                self._peer(peer, database_url(sampan), prefix[: self._sizes.prefix])
        taken["load average"] = {"before": before, "after": os.getloadavg()[0]}
        return taken

    def _program(self, program: Program) -> Any:
        taken, given = self._taken, self._given
        with Watch(program.sampan) as watch:
            taken["rates"]["program"] = given.events / program.take_over_http(given)
        self._took("the program")
        taken["memory"] = watch.memory
        taken["processor seconds"] = {name: round(spent, 1) for name, spent in watch.seconds.items()}
        cells = holding.other_cells(program, self._taken_in)
        self._judged("program", judge(self._must, holding.held(program)), cells)
        moved = program.moved()
        taken["facts"] = {stream: len(facts) for stream, facts in moved.facts.items()}
        taken["rows written"] = moved.rows_written
        taken["of them further rows"] = {service: len(rows) for service, rows in moved.further.items()}
        self._took("the judge")
        return moved

    def _beside_intake(self, program: Program, rate: float) -> None:
        taken, sizes = self._taken, self._sizes
        with Watch(program.sampan) as watch:
            further = self._given.further
            taken["rates"]["program, one event a POST"] = len(further) / program.take_one_by_one(further)
            self._took("one event a POST")
            taken["copying"] = copying(program, sizes.posts)
            self._took("POST and COPY")
            taken["latency"] = {"idle": latency(program, sizes.samples)}
            with Flow(program, "half-load", rate / 2) as flow:
                taken["latency"]["half load"] = latency(program, sizes.samples, "bench-half-load")
            taken["half load"] = {"asked": rate / 2, "reached": flow.a_second}
            self._took("latency")
            taken["reading"] = reading(program, sizes.samples)
            self._took("reading")
            taken["readers"] = with_readers(program, sizes.readers, sizes.reader_cohorts)
            self._took("readers")
        taken["memory"] = {name: max(most, watch.memory[name]) for name, most in taken["memory"].items()}

    def _check(self, program: Program) -> None:
        with Watch(program.sampan) as watch:
            program.check()
        self._taken["memory while checking"] = watch.memory
        self._took("a check")

    def _peer(self, peer: Peer, url: str, bodies: Sequence[bytes]) -> None:
        if (why := peer.missing()) is not None:
            self._taken["skipped"][peer.name] = why
            say(why)
            return
        seconds, held = asyncio.run(peer.run(url, bodies))
        self._taken["rates"][peer.name] = len(bodies) / seconds
        self._judged(peer.name, judge(self._of_prefix, held))
        self._took(peer.name)

    def _judged(self, name: str, verdict: Verdict, others: Sequence[str] = ()) -> None:
        differing = [*verdict.differing, *others]
        self._taken["verdicts"][name] = {
            "void": verdict.void or bool(others),
            "differing": len(differing),
            "first": differing[:TOLD],
            "lost": verdict.lost,
            "doubled": verdict.doubled,
        }
        if differing:
            say(f"{name}: void, {len(differing)} rows differ: {differing[:TOLD]}")

    def _took(self, what: str) -> None:
        now = time.monotonic()
        self._taken["seconds"][what] = round(now - self._began, 1)
        say(f"{what}: {now - self._began:.0f} s")
        self._began = now


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
